import { z } from 'zod'

/** The parts of the embedded cloud that can be told to fail. */
export const SERVICES = ['bigquery', 'bigquery-write', 'storage', 'scheduler', 'delivery'] as const
export type Service = (typeof SERVICES)[number]

/** HTTP status of each canonical code: https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto */
export const HTTP_STATUS = {
  CANCELLED: 499,
  UNKNOWN: 500,
  INVALID_ARGUMENT: 400,
  DEADLINE_EXCEEDED: 504,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  PERMISSION_DENIED: 403,
  RESOURCE_EXHAUSTED: 429,
  FAILED_PRECONDITION: 400,
  ABORTED: 409,
  OUT_OF_RANGE: 400,
  UNIMPLEMENTED: 501,
  INTERNAL: 500,
  UNAVAILABLE: 503,
  DATA_LOSS: 500,
  UNAUTHENTICATED: 401,
} as const
export type FaultCode = keyof typeof HTTP_STATUS

const CODES = Object.keys(HTTP_STATUS) as [FaultCode, ...FaultCode[]]
const ms = z.number().int().min(0)

/** One thing that can go wrong with one call. Every kind is plain data, so that a plan can be stored and replayed. */
export const faultSchema = z.discriminatedUnion('kind', [
  /** The call is answered with an error: `before` its effect (the default), or `after` it, as when an answer is lost. */
  z.strictObject({
    kind: z.literal('error'),
    code: z.enum(CODES),
    message: z.string().optional(),
    when: z.enum(['before', 'after']).optional(),
    /** HTTP status; default: the one of `code`. */
    status: z.number().int().min(400).max(599).optional(),
    /** Reason of the REST error form, such as `rateLimitExceeded`. */
    reason: z.string().optional(),
    /** AppendRows: in a response, the call staying open, rather than as the status that ends it. */
    inBand: z.boolean().optional(),
    /** AppendRows: name of a StorageErrorCode, sent as the error's detail. */
    storageError: z.string().optional(),
  }),
  /** The call waits for `ms` before it begins. */
  z.strictObject({ kind: z.literal('delay'), ms }),
  /** The connection is destroyed before or after the effect. */
  z.strictObject({ kind: z.literal('drop'), when: z.enum(['before', 'after']) }),
  /** No answer ever. The effect lands after `landAfterMs`; absent: never. */
  z.strictObject({ kind: z.literal('hang'), landAfterMs: ms.optional() }),
  /** On the call that creates a table: CreateWriteStream on it is denied for so long. */
  z.strictObject({ kind: z.literal('deny-new-streams'), forMs: ms }),
  /** On the call that changes a table's schema: appends do not see the new columns for so long. */
  z.strictObject({ kind: z.literal('late-columns'), forMs: ms }),
  /** On an upload: so many bytes of the body are taken, then an error (503), a lost connection or silence. */
  z.strictObject({
    kind: z.literal('cut'),
    afterBytes: z.number().int().min(0),
    then: z.enum(['error', 'drop', 'stall']),
  }),
  /** On a delivery: the event arrives `times` more after it was taken. */
  z.strictObject({ kind: z.literal('duplicate'), times: z.number().int().min(1).max(100).optional() }),
])
export type Fault = z.infer<typeof faultSchema>

/**
 * When a fault strikes. `method`, `resource` and `entry` are patterns in which `*` stands for any text; absent: any.
 * The rule counts every call that matches; it strikes from the `nth` (default 1) on, `times` times (default 1).
 */
export const ruleSchema = z.strictObject({
  service: z.enum(SERVICES).optional(),
  method: z.string().min(1).optional(),
  resource: z.string().min(1).optional(),
  entry: z.string().min(1).optional(),
  nth: z.number().int().min(1).optional(),
  times: z.number().int().min(1).optional(),
  fault: faultSchema,
})
export type FaultRule = z.infer<typeof ruleSchema>

export const planSchema = z.array(ruleSchema).max(10_000)

/** One call of the embedded cloud, as faults and the recorder see it. */
export interface Call {
  service: Service
  /** As in the service's API reference: `objects.insert`, `tables.patch`, `AppendRows`. */
  method: string
  /** What it is about: `bucket/object`, `project.dataset.table`, a stream name. */
  resource: string
  /** Who calls: see `entryOf`. */
  entry: string
}

/** HTTP status of an error fault. */
export function statusOf(fault: Extract<Fault, { kind: 'error' }>): number {
  return fault.status ?? HTTP_STATUS[fault.code]
}
