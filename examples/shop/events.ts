import { fileURLToPath } from 'node:url'
import protobuf from 'protobufjs'

/** Makes the shop's events: numbers that look like traffic, the same ones for the same seed. */
export interface Events {
  visit(): Record<string, unknown>
  click(): Buffer
  payment(): Record<string, unknown>
}

const COUNTRIES = ['DE', 'FR', 'SG', 'TH', 'US', 'ID', 'ES', 'NL']
const PATHS = ['/', '/search', '/cart', '/articles/4711', '/articles/815', '/account', '/hotels/singapore']
const AGENTS = ['Mozilla/5.0 (X11; Linux x86_64)', 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1)', 'curl/8.9 "ä"']
const KINDS = ['DESKTOP', 'PHONE', 'TABLET']

const schema = protobuf.loadSync(fileURLToPath(new URL('./schemas/shop.proto', import.meta.url)))
const Click = schema.lookupType('shop.Click')

/** `prefix` begins every id: ids of two runs differ. */
export function createEvents(prefix: string): Events {
  let count = 0
  const pick = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T
  const nextId = () => `${prefix}-${(count++).toString(36)}`
  const visit = () => ({
    id: nextId(),
    created_at: new Date().toISOString(),
    user: `u${Math.floor(Math.random() * 100_000)}`,
    country: pick(COUNTRIES),
    path: pick(PATHS),
    status: pick([200, 200, 200, 200, 301, 404, 500]),
    duration_ms: Math.round(Math.random() * 250_000) / 1000,
    tags: Math.random() < 0.3 ? ['new', 'campaign'] : [],
    device: { kind: pick(KINDS), agent: pick(AGENTS) },
    params: Math.random() < 0.2 ? { utm: 'newsletter', page: '2' } : {},
  })
  const click = () => {
    const now = Date.now()
    const message = {
      id: nextId(),
      created_at: { seconds: Math.floor(now / 1000), nanos: (now % 1000) * 1_000_000 },
      visit: `${prefix}-${Math.floor(Math.random() * Math.max(1, count)).toString(36)}`,
      target: pick(['buy', 'more', 'back', 'map']),
      x: Math.floor(Math.random() * 1920),
      y: Math.floor(Math.random() * 1080),
      session: Math.floor(Math.random() * Number.MAX_SAFE_INTEGER),
      ...(Math.random() < 0.5 ? { price: Math.round(Math.random() * 50_000) / 100 } : {}),
    }
    return Buffer.from(Click.encodeDelimited(Click.fromObject(message)).finish())
  }
  const payment = () => ({
    id: nextId(),
    created_at: new Date().toISOString(),
    order: Math.floor(Math.random() * 1_000_000),
    amount: (Math.random() * 500).toFixed(2),
    currency: pick(['EUR', 'SGD', 'USD']),
    items: [{ article: pick(PATHS), count: 1 + Math.floor(Math.random() * 3) }],
  })
  return { visit, click, payment }
}
