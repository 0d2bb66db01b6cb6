import { API, type KafkaProxy, type ProxyRule } from '../../support/proxy.ts'
import type { Random } from '../../support/random.ts'
import { tally } from './plan.ts'

/** Something that happens to one request on its way to the broker. */
export interface WireHarm {
  readonly kind: 'request'
  readonly api: keyof typeof API
  readonly action: 'lose-answer' | 'cut-before' | 'cut-after' | 'hold'
  /** So many of its kind pass before it. */
  readonly skip: number
  /** What is held lands so much later, whatever became of its sender. */
  readonly holdMs: number
}

const SKIP_MAX = 5
const HOLD_MS_MAX = 15_000

/** Draws something that happens to a request of one of these kinds. */
export function drawRequest(...apis: (keyof typeof API)[]): (random: Random) => WireHarm {
  return (random) => ({
    kind: 'request',
    api: random.pick(apis),
    action: random.pick(['lose-answer', 'cut-before', 'cut-after', 'hold'] as const),
    skip: random.below(SKIP_MAX),
    holdMs: random.below(HOLD_MS_MAX),
  })
}

export function describeRequest({ api, action, skip, holdMs }: WireHarm, whole: boolean): string {
  return `${api} ${action}${whole ? ` #${skip + 1}${action === 'hold' ? ` ${holdMs} ms` : ''}` : ''}`
}

/** Carries out what is to happen to requests, and knows what did. */
export class Wire {
  readonly #proxy: KafkaProxy
  readonly #rules: { readonly name: string; readonly rule: ProxyRule }[] = []

  constructor(proxy: KafkaProxy) {
    this.#proxy = proxy
  }

  add(harm: WireHarm): void {
    const { api, action, skip, holdMs } = harm
    this.#rules.push({ name: describeRequest(harm, false), rule: this.#proxy.on(API[api], action, { skip, holdMs }) })
  }

  /** Everything passes from now on, and what is held lands. Answers what has met a request, by name. */
  heal(): string {
    for (const { rule } of this.#rules) rule.release()
    return tally(this.#rules.filter(({ rule }) => rule.hits > 0).map(({ name }) => name))
  }
}
