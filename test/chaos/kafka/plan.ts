import type { FaultRule } from '../../../local/faults/index.ts'
import { Random } from '../../support/random.ts'
import { nameOfRule } from '../harness/faults.ts'
import { type Draw, drawOne, drawSteps, type Step } from '../harness/plan.ts'
import { describeRequest, drawRequest, type WireHarm } from '../harness/wire.ts'

/** What goes wrong between Kafka and BigQuery. `nth` is the nth of the living workers, in the order of their start, round and round. */
export type KafkaHarm =
  /** A crash; a redeployment; one more member, or one less where there is no room. */
  | { readonly kind: 'kill -9' | 'stop' | 'join'; readonly nth: number }
  | { readonly kind: 'freeze'; readonly nth: number; readonly forMs: number }
  /** Four days pass: every stream without traffic in them expires. What hangs lands. */
  | { readonly kind: 'expire' }
  | { readonly kind: 'broker'; readonly downMs: number }
  /** All connections between workers and broker break. */
  | { readonly kind: 'cut' }
  | WireHarm
  /** The nth calls of a worker to BigQuery. */
  | { readonly kind: 'fault'; readonly rule: FaultRule }

/** Longer than this without a heartbeat, and the group goes on without the member. */
export const SESSION_MS = 6000
/** A partition needs a second or two to recover: there must be time to have something under way again. */
const PAUSE_MS_MAX = 1400
const NTH_MAX = 12

type Fault = FaultRule['fault']

const nth = (random: Random) => random.below(NTH_MAX)
const when = (random: Random) => random.pick(['before', 'after'] as const)

/** To AppendRows. */
const ANSWERED_FAULTS: readonly Draw<Fault>[] = [
  [1, () => ({ kind: 'drop', when: 'before' })],
  [1, () => ({ kind: 'drop', when: 'after' })],
  [1, () => ({ kind: 'error', code: 'INTERNAL', when: 'after', inBand: true })],
  [1, () => ({ kind: 'error', code: 'UNAVAILABLE', when: 'after' })],
  [1, () => ({ kind: 'error', code: 'RESOURCE_EXHAUSTED', inBand: true })],
  [1, () => ({ kind: 'error', code: 'RESOURCE_EXHAUSTED', inBand: true, when: 'after' })],
  [1, () => ({ kind: 'error', code: 'ABORTED', message: 'the server is going away: please reconnect' })],
  [1, () => ({ kind: 'error', code: 'OUT_OF_RANGE', inBand: true, storageError: 'OFFSET_OUT_OF_RANGE' })],
  [1, () => ({ kind: 'error', code: 'ALREADY_EXISTS', inBand: true, storageError: 'OFFSET_ALREADY_EXISTS' })],
  [1, (random) => ({ kind: 'delay', ms: random.below(1500) })],
]
/** What hangs is given up after `answer_within`, and may land later. */
const APPEND_FAULTS: readonly Draw<Fault>[] = [
  ...ANSWERED_FAULTS,
  [1, (random) => ({ kind: 'hang', landAfterMs: random.below(8000) })],
  [1, () => ({ kind: 'hang' })],
]

const OTHER_FAULTS: readonly Draw<Fault>[] = [
  [2, (random) => ({ kind: 'error', code: 'UNAVAILABLE', when: when(random) })],
  [1, () => ({ kind: 'error', code: 'RESOURCE_EXHAUSTED' })],
  [2, (random) => ({ kind: 'drop', when: when(random) })],
  [1, (random) => ({ kind: 'delay', ms: random.below(2000) })],
]

const ROWS = '*/tables/events/*'
/** Their writer waits a minute for an answer: a hang would be the rest of the run. */
const LETTERS = '*/tables/millrace_dead_letters/*'

/** Calls of a worker to BigQuery, the first of them among the next `nthMax` of its kind. */
function drawFault(
  what: Pick<FaultRule, 'method' | 'service' | 'resource'>,
  table: readonly Draw<Fault>[],
  nthMax: number,
) {
  return (random: Random): KafkaHarm => {
    const strikes = { nth: 1 + random.below(nthMax), times: 1 + random.below(2) }
    const rule = {
      service: 'bigquery-write' as const,
      ...what,
      entry: 'kafka-*',
      ...strikes,
      fault: drawOne(random, table),
    }
    return { kind: 'fault', rule }
  }
}

/** Most harms are faults of calls: what ends a membership costs seconds in which nothing is under way that could be harmed. */
const HARMS: readonly Draw<KafkaHarm>[] = [
  [110, drawFault({ method: 'AppendRows', resource: ROWS }, APPEND_FAULTS, 20)],
  [6, drawFault({ method: 'AppendRows', resource: LETTERS }, ANSWERED_FAULTS, 5)],
  [5, drawFault({ method: 'CreateWriteStream' }, OTHER_FAULTS, 3)],
  [7, drawFault({ method: 'FinalizeWriteStream' }, OTHER_FAULTS, 3)],
  [3, drawFault({ service: 'bigquery', method: 'jobs.*' }, OTHER_FAULTS, 2)],
  [3, drawRequest('OffsetCommit')],
  [2, drawRequest('Fetch', 'Heartbeat', 'JoinGroup', 'SyncGroup', 'OffsetFetch')],
  [1, () => ({ kind: 'cut' })],
  [4, (random) => ({ kind: 'kill -9', nth: nth(random) })],
  [1, (random) => ({ kind: 'stop', nth: nth(random) })],
  [2, (random) => ({ kind: 'freeze', nth: nth(random), forMs: SESSION_MS + 500 + random.below(SESSION_MS) })],
  [1, (random) => ({ kind: 'freeze', nth: nth(random), forMs: random.below(SESSION_MS) })],
  [1, (random) => ({ kind: 'join', nth: nth(random) })],
  [2, () => ({ kind: 'expire' })],
  [1, (random) => ({ kind: 'broker', downMs: random.below(2000) })],
]

/** The whole of what will go wrong. */
export function kafkaPlan(seed: number, forMs: number): readonly Step<KafkaHarm>[] {
  return drawSteps(new Random(seed), forMs, PAUSE_MS_MAX, HARMS)
}

export function describeKafkaHarm(harm: KafkaHarm, whole: boolean): string {
  switch (harm.kind) {
    case 'freeze':
      return `${harm.forMs > SESSION_MS ? 'freeze beyond the session' : 'freeze'}${whole ? ` ${harm.nth} ${harm.forMs} ms` : ''}`
    case 'broker':
      return `broker${whole ? ` ${harm.downMs} ms` : ''}`
    case 'request':
      return describeRequest(harm, whole)
    case 'fault': {
      const { nth: first, times } = harm.rule
      return `${nameOfRule(harm.rule)}${whole ? ` #${first} x${times}` : ''}`
    }
    case 'expire':
    case 'cut':
      return harm.kind
    default:
      return `${harm.kind}${whole ? ` ${harm.nth}` : ''}`
  }
}

/** The broker's harms take their time; all others are a moment, and go on while it is down. */
export const laneOfKafkaHarm = ({ kind }: KafkaHarm): string => (kind === 'broker' ? 'broker' : 'moment')
