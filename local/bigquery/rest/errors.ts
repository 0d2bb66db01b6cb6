import { type Fault, statusOf } from '../../faults/index.ts'
import { QueryError } from '../sql/index.ts'

/** Canonical names of HTTP statuses in error bodies. */
const STATUS_NAMES: Readonly<Record<number, string>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'ALREADY_EXISTS',
  412: 'FAILED_PRECONDITION',
  429: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  501: 'UNIMPLEMENTED',
  503: 'UNAVAILABLE',
}

/** One error as BigQuery lists it. https://cloud.google.com/bigquery/docs/error-messages */
export interface ErrorProto {
  reason: string
  message: string
  domain?: string
  location?: string
  locationType?: string
}

/** An answer of the REST API that is an error. */
export class RestError extends Error {
  readonly status: number
  readonly reason: string
  readonly location: string | undefined

  constructor(status: number, reason: string, message: string, location?: string) {
    super(message)
    this.status = status
    this.reason = reason
    this.location = location
  }

  /** As it stands in a job's `status.errorResult`. */
  proto(): ErrorProto {
    return {
      reason: this.reason,
      message: this.message,
      ...(this.location !== undefined && { location: this.location }),
    }
  }

  body(): unknown {
    const where = this.location === undefined ? {} : { location: this.location, locationType: 'parameter' }
    const error = { message: this.message, domain: 'global', reason: this.reason, ...where }
    const status = STATUS_NAMES[this.status] ?? 'UNKNOWN'
    return { error: { code: this.status, message: this.message, errors: [error], status } }
  }
}

export const notFound = (what: string): RestError => new RestError(404, 'notFound', `Not found: ${what}`)
export const alreadyExists = (what: string): RestError => new RestError(409, 'duplicate', `Already Exists: ${what}`)
export const invalid = (message: string, location?: string): RestError =>
  new RestError(400, 'invalid', message, location)
export const notBuilt = (what: string): RestError =>
  new RestError(501, 'notImplemented', `${what} is not built in the local BigQuery`)

/** Anything that a method threw, in the form of the API. */
export function restErrorOf(thrown: unknown): RestError {
  if (thrown instanceof RestError) return thrown
  if (thrown instanceof QueryError) return new RestError(thrown.code, thrown.reason, thrown.message, thrown.location)
  return new RestError(500, 'internalError', thrown instanceof Error ? thrown.message : String(thrown))
}

/** The quota errors of the API have these reasons: https://cloud.google.com/bigquery/docs/error-messages */
const FAULT_REASONS: Readonly<Record<number, string>> = {
  403: 'accessDenied',
  404: 'notFound',
  409: 'duplicate',
  412: 'conditionNotMet',
  429: 'rateLimitExceeded',
  500: 'internalError',
  501: 'notImplemented',
  503: 'backendError',
}

/** An error of a fault plan as the API would send it. */
export function faultError(fault: Extract<Fault, { kind: 'error' }>): RestError {
  const status = statusOf(fault)
  return new RestError(
    status,
    fault.reason ?? FAULT_REASONS[status] ?? 'invalid',
    fault.message ?? `fault: ${fault.code}`,
  )
}
