import type { LetterCount } from '../dead-letters/index.ts'
import type { TopicPartition } from '../kafka/index.ts'
import type { ChunksStatus, OpenChunk } from './chunks.ts'
import type { ConsumerStatus } from './consumer.ts'

/** What an agent knows of one source: an element of `open` in the answer of its /status. */
export interface SourceStatus {
  readonly source: string
  readonly route: string
  readonly path: string
  /** Up to here Kafka, or a decided chunk, carries it. */
  readonly position: number
  /** Bytes of the file, of a compressed one when it is finished; null before. */
  readonly size: number | null
  /** Without a topic only of finished files: of the others nothing is late, they go as a whole. */
  readonly lag_bytes: number
  /** How long the file has been ahead of the position, at most: the time since its last write. */
  readonly lag_seconds: number
  readonly carrier: 'kafka' | 'chunk' | 'undecided'
  readonly finished: boolean
  readonly chunks: readonly string[]
}

/** What a running agent answers; it says more than this. */
export interface AgentStatus {
  readonly agent: string
  /** 1: it has fenced its former lives and read its positions. */
  readonly in_touch: number
  readonly lag_bytes: number
  readonly lag_seconds: number
  readonly open: readonly SourceStatus[]
}

/** One position of an agent, as Kafka has it. */
export interface Position extends TopicPartition {
  readonly agent: string
  readonly source: string
  readonly position: number
  /** Of a finished source. */
  readonly size?: number | undefined
  /** The range that its chunk carries instead of Kafka. */
  readonly handed?: { readonly from: number; readonly to: number } | undefined
  /** Its file is gone: the name is kept. */
  readonly retired: boolean
}

/** A part is undefined where there is nothing to ask, or nobody who answers. */
export interface StatusReport {
  /** Why a part could not be asked, by its name. */
  readonly unreachable: Readonly<Record<string, string>>
  readonly agent?: AgentStatus | undefined
  readonly positions?: readonly Position[] | undefined
  readonly consumer?: ConsumerStatus | undefined
  readonly chunks?: ChunksStatus | undefined
  /** Of the last day. */
  readonly dead_letters?: readonly LetterCount[] | undefined
}

/** What may be before it is wrong. */
export interface Limits {
  readonly lateMs: number
  readonly deadLettersMax: number
  /** The agent of this configuration publishes to topics. */
  readonly needsKafka: boolean
}

/** What is wrong, a sentence each (docs/reference/status.md). */
export function wrongs({ unreachable, ...parts }: StatusReport, limits: Limits): string[] {
  return [
    ...Object.keys(unreachable).map((name) => `${name} cannot be asked`),
    ...(parts.agent ? wrongOfAgent(parts.agent, limits) : []),
    ...(parts.consumer ? wrongOfConsumer(parts.consumer, limits) : []),
    ...(parts.chunks ? wrongOfChunks(parts.chunks) : []),
    ...wrongOfLetters(parts.dead_letters ?? [], limits),
  ]
}

function wrongOfAgent({ agent, in_touch, open }: AgentStatus, { lateMs, needsKafka }: Limits): string[] {
  const late = open.filter(({ lag_seconds }) => lag_seconds * 1000 > lateMs)
  return [
    ...(needsKafka && in_touch === 0 ? [`agent ${agent} is not in touch with Kafka`] : []),
    ...late.map(
      ({ path, lag_bytes, lag_seconds }) =>
        `agent ${agent}: ${lag_bytes} bytes of ${path} have waited for ${lag_seconds} s`,
    ),
  ]
}

function wrongOfConsumer({ group, members, partitions, missing }: ConsumerStatus, { lateMs }: Limits): string[] {
  const who = members > 0 ? `group ${group}` : `group ${group}, which has no member now`
  return [
    ...missing.map((topic) => `topic ${topic} is not in Kafka`),
    ...partitions.flatMap(({ topic, partition, committed, start, end, late }) => {
      const at = `${topic}/${partition}`
      if (committed !== null && committed < start)
        return `${at}: Kafka has deleted ${start - committed} records that ${who} has not taken`
      if (committed !== null && committed > end) return `${at}: ${who} stands behind the end of the topic`
      return late > 0 ? `${at}: ${late} records have waited for more than ${lateMs / 1000} s for ${who}` : []
    }),
  ]
}

function wrongOfChunks({ listed, failed }: ChunksStatus): string[] {
  const late = (state: OpenChunk['state']) => listed.filter((chunk) => chunk.late && chunk.state === state).length
  const [undecided, waiting] = [late('undecided'), late('waiting')]
  return [
    ...(failed > 0 ? [`chunks: ${failed} could not be loaded`] : []),
    ...(undecided > 0 ? [`chunks: ${undecided} should be decided by now`] : []),
    ...(waiting > 0 ? [`chunks: ${waiting} should be committed by now`] : []),
  ]
}

function wrongOfLetters(counts: readonly LetterCount[], { deadLettersMax }: Limits): string[] {
  const letters = counts.reduce((sum, count) => sum + count.letters, 0)
  return letters > deadLettersMax ? [`dead letters: ${letters} events of the last day have no row`] : []
}
