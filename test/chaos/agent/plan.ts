import type { FaultRule } from '../../../local/faults/index.ts'
import { Random } from '../../support/random.ts'
import { nameOfRule } from '../harness/faults.ts'
import { type Draw, drawOne, drawSteps, type Step } from '../harness/plan.ts'
import { describeRequest, drawRequest, type WireHarm } from '../harness/wire.ts'
import type { Rotation } from './rotate.ts'

/** What goes wrong around an agent. `nth` is the nth of the living, in the order of their start, round and round. */
export type AgentHarm =
  /** A crash; a redeployment; SIGHUP with the configuration as it was. */
  | { readonly kind: 'kill -9' | 'stop' | 'reload'; readonly nth: number }
  /** For so long, while another one, which takes itself for the same on another host, takes over: it wakes as a zombie. */
  | { readonly kind: 'freeze'; readonly nth: number; readonly forMs: number }
  | { readonly kind: 'broker'; readonly downMs: number }
  /** All connections between agents and broker break. */
  | { readonly kind: 'cut' }
  | WireHarm
  /** The next calls to the bucket. */
  | { readonly kind: 'fault'; readonly rule: FaultRule }
  /** No harm, but the everyday work that harms must meet. */
  | Rotation

const PAUSE_MS_MAX = 1200
const ROTATION_PAUSE_MS_MAX = 1500
const NTH_MAX = 12
/** A new life needs 1 to 3 s until it has fenced the one before. */
const FREEZE_MS_MIN = 3000
const FREEZE_MS_MAX = 9000
const DOWN_MS_MAX = 2000
/** Longer than `finish_after` and `handover_after`: chunks then carry what Kafka has not. */
const AWAY_MS_MIN = 7000
const AWAY_MS_MAX = 12_000
const CUT_BYTES_MAX = 100_000
const COMPRESS_MS_MAX = 300

const nth = (random: Random) => random.below(NTH_MAX)
const when = (random: Random) => random.pick(['before', 'after'] as const)

const BUCKET_FAULTS: readonly Draw<FaultRule['fault']>[] = [
  [4, (random) => ({ kind: 'error', code: 'UNAVAILABLE', when: when(random) })],
  [4, (random) => ({ kind: 'drop', when: when(random) })],
  [2, (random) => ({ kind: 'cut', afterBytes: random.below(CUT_BYTES_MAX), then: 'error' })],
  [2, (random) => ({ kind: 'cut', afterBytes: random.below(CUT_BYTES_MAX), then: 'drop' })],
  [1, (random) => ({ kind: 'delay', ms: random.below(2000) })],
]

function failBucket(random: Random): AgentHarm {
  const times = 1 + random.below(4)
  return { kind: 'fault', rule: { service: 'storage', entry: 'agent', times, fault: drawOne(random, BUCKET_FAULTS) } }
}

/** Most harms leave the agent alive: a new life needs seconds until it has something under way that could be harmed. */
const HARMS: readonly Draw<AgentHarm>[] = [
  [11, (random) => ({ kind: 'kill -9', nth: nth(random) })],
  [3, (random) => ({ kind: 'stop', nth: nth(random) })],
  [2, (random) => ({ kind: 'reload', nth: nth(random) })],
  [6, (random) => ({ kind: 'freeze', nth: nth(random), forMs: drawBetween(random, FREEZE_MS_MIN, FREEZE_MS_MAX) })],
  [6, () => ({ kind: 'cut' })],
  [30, drawRequest('Produce', 'EndTxn', 'TxnOffsetCommit')],
  [14, drawRequest('InitProducerId', 'AddPartitionsToTxn', 'AddOffsetsToTxn', 'OffsetFetch', 'FindCoordinator')],
  [25, failBucket],
  [2, (random) => ({ kind: 'broker', downMs: random.below(DOWN_MS_MAX) })],
  [1, (random) => ({ kind: 'broker', downMs: drawBetween(random, AWAY_MS_MIN, AWAY_MS_MAX) })],
]

const ROTATIONS: readonly Draw<AgentHarm>[] = [
  [5, () => ({ kind: 'rotate', how: 'create', stepMs: 0 })],
  [3, () => ({ kind: 'rotate', how: 'copytruncate', stepMs: 0 })],
  [2, (random) => ({ kind: 'rotate', how: 'compress', stepMs: random.below(COMPRESS_MS_MAX) })],
  [2, (random) => ({ kind: 'rotate', how: 'delaycompress', stepMs: random.below(COMPRESS_MS_MAX) })],
  [1, (random) => ({ kind: 'rotate', how: 'copytruncate and compress', stepMs: random.below(COMPRESS_MS_MAX) })],
]

const drawBetween = (random: Random, from: number, to: number) => from + random.below(to - from)

/** The whole of what will go wrong, and of what is rotated meanwhile. */
export function agentPlan(seed: number, forMs: number): readonly Step<AgentHarm>[] {
  const random = new Random(seed)
  const harms = drawSteps(random, forMs, PAUSE_MS_MAX, HARMS)
  const rotations = drawSteps(random, forMs, ROTATION_PAUSE_MS_MAX, ROTATIONS)
  return [...harms, ...rotations].sort((a, b) => a.atMs - b.atMs)
}

export function describeAgentHarm(harm: AgentHarm, whole: boolean): string {
  switch (harm.kind) {
    case 'freeze':
      return `freeze${whole ? ` ${harm.nth} ${harm.forMs} ms` : ''}`
    case 'broker':
      return `${harm.downMs < AWAY_MS_MIN ? 'broker' : 'broker away'}${whole ? ` ${harm.downMs} ms` : ''}`
    case 'cut':
      return 'cut'
    case 'request':
      return describeRequest(harm, whole)
    case 'fault':
      return `${nameOfRule(harm.rule)}${whole ? ` x${harm.rule.times}` : ''}`
    case 'rotate':
      return `${harm.how}${whole && harm.stepMs ? ` ${harm.stepMs} ms` : ''}`
    default:
      return `${harm.kind}${whole ? ` ${harm.nth}` : ''}`
  }
}

/** Restarts and rotations take their time, each in turn; all others are a moment, and go on meanwhile. */
export function laneOfAgentHarm({ kind }: AgentHarm): string {
  return kind === 'broker' || kind === 'rotate' ? kind : 'moment'
}
