import { messageOf } from '../errors.ts'
import { GrpcError, STATUS } from './grpc.ts'
import { rpcStatus, storageErrorsOf } from './wire.ts'

/** A row that BigQuery refuses; `index` counts within the request. */
export interface RefusedRow {
  readonly index: number
  readonly message: string
}

/**
 * What became of an append.
 * - `written`: its rows are in the stream; `offset` is that of its first row (undefined on a default stream).
 * - `refused`: these rows are wrong; nothing of the request was written.
 * - `later`: nothing was written; the very same request may be sent again after a while: a quota, or a column that has not
 *   spread to the servers yet (35 s to 2 h).
 * - `exists`, `gap`: the stream's end is beyond, or before, the request's offset; nothing of it was written.
 * - `gone`: the stream is finalized or unknown: nothing will ever be written to it again.
 * - `denied`: no permission, or no such table: the service says the same for both.
 * - `lost`: anything else, a broken connection above all: it may have been written, may not, or may be later.
 */
export type AppendAnswer =
  | { readonly kind: 'written'; readonly offset: number | undefined }
  | { readonly kind: 'refused'; readonly rows: readonly RefusedRow[] }
  | { readonly kind: 'later'; readonly reason: 'quota' | 'schema'; readonly message: string }
  | { readonly kind: 'exists' | 'gap' | 'gone' | 'denied' | 'lost'; readonly message: string }

/** A failure of the service, in-band or as the end of a call; StorageError codes by name. */
type Failure = ReturnType<typeof failureOf>

/** The class of every AppendRowsResponse. Row errors first, then the StorageError, then the text, the gRPC code last. */
export function classifyResponse(response: Record<string, unknown>): AppendAnswer {
  const rowErrors = (response['rowErrors'] ?? []) as { index?: string; message?: string }[]
  const rows = rowErrors.map(({ index = 0, message = '' }) => ({ index: Number(index), message }))
  if (rows.length > 0) return { kind: 'refused', rows }
  const error = response['error'] as { code?: number; message?: string; details?: unknown } | undefined
  if (error) {
    const { code = STATUS.UNKNOWN, message = '' } = error
    return classifyFailure({ code, message, storageErrors: storageErrorsOf(error) })
  }
  const result = response['appendResult'] as { offset?: { value?: string } } | undefined
  if (!result) return { kind: 'lost', message: 'a response without result and without error' }
  return { kind: 'written', offset: result.offset ? Number(result.offset.value ?? 0) : undefined }
}

const BY_STORAGE_ERROR: Readonly<Record<string, AppendAnswer['kind']>> = {
  OFFSET_ALREADY_EXISTS: 'exists',
  OFFSET_OUT_OF_RANGE: 'gap',
  STREAM_FINALIZED: 'gone',
  STREAM_NOT_FOUND: 'gone',
  INVALID_STREAM_STATE: 'gone',
  STREAM_ALREADY_COMMITTED: 'gone',
  TABLE_NOT_FOUND: 'denied',
  SCHEMA_MISMATCH_EXTRA_FIELDS: 'later',
}

const BY_CODE: Readonly<Record<number, AppendAnswer['kind']>> = {
  [STATUS.ALREADY_EXISTS]: 'exists',
  [STATUS.OUT_OF_RANGE]: 'gap',
  [STATUS.NOT_FOUND]: 'gone',
  [STATUS.PERMISSION_DENIED]: 'denied',
  [STATUS.RESOURCE_EXHAUSTED]: 'later',
}

/** A stream's end is told in the text alone by some servers: Dataproc Flink connector #235, bqemulator's recordings. */
const GONE_TEXT = /stream has been finalized|invalid stream name/i

/** The class of every failure; what is unknown is `lost`. */
export function classifyFailure({ code, message, storageErrors }: Failure): AppendAnswer {
  const [kind = GONE_TEXT.test(message) ? 'gone' : (BY_CODE[code] ?? 'lost')] = storageErrors.flatMap(
    (name) => BY_STORAGE_ERROR[name] ?? [],
  )
  const text = message || storageErrors.join(', ') || `status ${code}`
  if (kind === 'later') return { kind, reason: storageErrors.length > 0 ? 'schema' : 'quota', message: text }
  return { kind: kind as 'lost', message: text }
}

/** Anything that a call threw or ended with. */
export function failureOf(thrown: unknown) {
  const { code = STATUS.UNKNOWN, details } = thrown instanceof GrpcError ? thrown : {}
  return { code, message: messageOf(thrown), storageErrors: details ? storageErrorsOf(rpcStatus.decode(details)) : [] }
}
