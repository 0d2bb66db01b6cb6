import { setTimeout as delay } from 'node:timers/promises'
import { createEvents, type Events } from './events.ts'

/**
 * Visitors for the sample API server. One line in ten thousand is broken, as real clients' are, the first one soon.
 *
 *     node examples/shop/traffic.ts --url http://127.0.0.1:PORT [--rate EVENTS_PER_SECOND]
 */
const RATE_DEFAULT = 1000
const TURN_MS = 100
const BROKEN_EVERY = 10_000
const BROKEN_FIRST = 999
/** Of a thousand events: the rest are visits. */
const CLICKS_PER_THOUSAND = 300
const PAYMENTS_PER_THOUSAND = 20

export async function runTraffic(options: { url: string; rate: number; signal: AbortSignal }): Promise<void> {
  const events = createEvents(Date.now().toString(36))
  const began = Date.now()
  let sent = 0
  while (!options.signal.aborted) {
    const due = Math.floor(((Date.now() - began) / 1000) * options.rate) - sent
    if (due > 0) {
      await sendTurn(options.url, events, sent, due)
      sent += due
    }
    await delay(TURN_MS, undefined, { signal: options.signal }).catch(() => undefined)
  }
}

async function sendTurn(url: string, events: Events, first: number, count: number): Promise<void> {
  const lines = { visits: [] as string[], payments: [] as string[] }
  const clicks: Buffer[] = []
  for (let number = first; number < first + count; number++) {
    const kind = number % 1000
    if (number % BROKEN_EVERY === BROKEN_FIRST) lines.visits.push('{"id": "broken", "status":\n')
    else if (kind < CLICKS_PER_THOUSAND) clicks.push(events.click())
    else if (kind < CLICKS_PER_THOUSAND + PAYMENTS_PER_THOUSAND)
      lines.payments.push(`${JSON.stringify(events.payment())}\n`)
    else lines.visits.push(`${JSON.stringify(events.visit())}\n`)
  }
  await Promise.all([
    post(`${url}/visits`, Buffer.from(lines.visits.join(''))),
    post(`${url}/clicks`, Buffer.concat(clicks)),
    post(`${url}/payments`, Buffer.from(lines.payments.join(''))),
  ])
}

/** A visitor whom the server does not answer goes away: nothing is sent twice, so the server's tally stays true. */
async function post(url: string, body: Buffer): Promise<void> {
  if (body.length === 0) return
  const response = await fetch(url, { method: 'POST', body: new Uint8Array(body) }).catch(() => undefined)
  await response?.arrayBuffer()
}

function option(name: string): string | undefined {
  const at = process.argv.indexOf(`--${name}`)
  return at < 0 ? undefined : process.argv[at + 1]
}

if (process.argv[1] === import.meta.filename) {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
  const url = option('url')
  if (!url) {
    process.stderr.write('traffic.ts: --url is missing\n')
    process.exitCode = 2
  } else await runTraffic({ url, rate: Number(option('rate') ?? RATE_DEFAULT), signal: stop.signal })
}
