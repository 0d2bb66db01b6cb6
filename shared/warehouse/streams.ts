import { setTimeout as delay } from 'node:timers/promises'
import type { TableName } from '../config/index.ts'
import { classifyFailure, failureOf } from './answers.ts'
import type { Channel } from './channel.ts'
import { STATUS } from './grpc.ts'

/** `projects/p/datasets/d/tables/t/streams/s` */
export type StreamName = string

/** The quota is 10,000 new streams an hour; above some 3 a second creation becomes slow. DESIGN section 7: 2 a second. */
const CREATE_INTERVAL_MS = 500
const CREATE_BURST = 20

export const tablePath = ({ project, dataset, table }: TableName): string =>
  `projects/${project}/datasets/${dataset}/tables/${table}`

/** The stream of a table that takes rows at least once, without offsets, and lives as long as the table. */
export const defaultStream = (table: TableName): StreamName => `${tablePath(table)}/streams/_default`

/** Whether the table is the one in the stream's name. */
export const isStreamOf = (stream: StreamName, table: TableName): boolean =>
  stream.startsWith(`${tablePath(table)}/streams/`)

/** The table in a stream's name. */
export function tableOfStream(stream: StreamName): TableName {
  const [, project = '', , dataset = '', , table = ''] = stream.split('/')
  return { project, dataset, table }
}

/** @throws GrpcError; a table made a moment ago may be denied for a while, so PERMISSION_DENIED is tried again first */
export async function createStream(
  channel: Channel,
  table: TableName,
  type: 'COMMITTED' | 'PENDING',
  turn: () => Promise<void>,
): Promise<StreamName> {
  const parent = tablePath(table)
  for (let attempt = 1; ; attempt++) {
    await turn()
    try {
      const request = { parent, writeStream: { type } }
      const stream = await channel.unary('CreateWriteStream', `parent=${encodeURIComponent(parent)}`, request)
      return String(stream['name'])
    } catch (error) {
      if (attempt >= DENIED_ATTEMPTS || failureOf(error).code !== STATUS.PERMISSION_DENIED) throw error
      await delay(attempt * DENIED_PAUSE_MS)
    }
  }
}
/** Right after a table's creation 23 % of 140 trials were denied, at most twice in a row. */
const DENIED_ATTEMPTS = 4
const DENIED_PAUSE_MS = 250

/**
 * Ends a stream for every writer and counts its rows; may be repeated.
 * @returns `gone`: unknown, expired, or of a table that is not there: no row can reach it any more, and nobody can count it
 * @throws GrpcError when neither is known
 */
export async function finalizeStream(channel: Channel, name: StreamName, tableExists: () => Promise<boolean>) {
  try {
    const answer = await channel.unary('FinalizeWriteStream', `name=${encodeURIComponent(name)}`, { name })
    return { kind: 'finalized', rows: Number(answer['rowCount'] ?? 0) } as const
  } catch (error) {
    const { kind } = classifyFailure(failureOf(error))
    if (kind === 'gone' || (kind === 'denied' && !(await tableExists()))) return { kind: 'gone' } as const
    throw error
  }
}

/**
 * Makes the rows of a finalized PENDING stream visible; may be repeated. `gone`: it is unknown, because it was committed or made
 * more than a day ago. @throws Error: it is not finalized, and nothing was committed; GrpcError: the effect is unknown, ask again
 */
export async function commitStream(channel: Channel, name: StreamName): Promise<'committed' | 'gone'> {
  const parent = tablePath(tableOfStream(name))
  const request = { parent, writeStreams: [name] }
  const unknown = (error: unknown) => {
    if (classifyFailure(failureOf(error)).kind !== 'gone') throw error
    return { streamErrors: [{ code: 'STREAM_NOT_FOUND' }] }
  }
  const routing = `parent=${encodeURIComponent(parent)}`
  const answer: CommitAnswer = await channel.unary('BatchCommitWriteStreams', routing, request).catch(unknown)
  const { code, errorMessage } = answer.streamErrors?.[0] ?? {}
  if (answer.commitTime || code === 'STREAM_ALREADY_COMMITTED') return 'committed'
  if (code === 'STREAM_NOT_FOUND') return 'gone'
  throw new Error(`${name} is not committed: ${code} ${errorMessage}`)
}

interface CommitAnswer {
  readonly commitTime?: unknown
  readonly streamErrors?: readonly { readonly code?: string; readonly errorMessage?: string }[]
}

/** Spaces calls: a burst first, then one for each interval. */
export function createPacer(intervalMs = CREATE_INTERVAL_MS, burst = CREATE_BURST): () => Promise<void> {
  let nextMs = -Infinity
  return async () => {
    const now = performance.now()
    nextMs = Math.max(nextMs, now - burst * intervalMs) + intervalMs
    if (nextMs > now) await delay(nextMs - now)
  }
}
