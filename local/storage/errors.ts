/**
 * An answer of Cloud Storage that is not a success, in the JSON API's own form:
 * https://cloud.google.com/storage/docs/json_api/v1/status-codes
 */
export class ServiceError extends Error {
  override readonly name = 'ServiceError'
  readonly status: number
  readonly reason: string
  /** Where the client went wrong: a header or a parameter. */
  readonly location: { type: 'header' | 'parameter'; name: string } | undefined

  constructor(status: number, reason: string, message: string, location?: ServiceError['location']) {
    super(message)
    this.status = status
    this.reason = reason
    this.location = location
  }

  /** The body that carries this error. */
  body(): unknown {
    const at = this.location && { locationType: this.location.type, location: this.location.name }
    const first = { message: this.message, domain: 'global', reason: this.reason, ...at }
    return { error: { code: this.status, message: this.message, errors: [first] } }
  }
}

export const invalid = (message: string) => new ServiceError(400, 'invalid', message)

export const invalidParameter = (name: string, value: string) =>
  new ServiceError(400, 'invalidParameter', `Invalid value for ${name}: ${value}`, { type: 'parameter', name })

export const bucketNotFound = () => new ServiceError(404, 'notFound', 'The specified bucket does not exist.')

export const objectNotFound = (bucket: string, name: string) =>
  new ServiceError(404, 'notFound', `No such object: ${bucket}/${name}`)

export const preconditionFailed = () =>
  new ServiceError(412, 'conditionNotMet', 'At least one of the pre-conditions you specified did not hold.', {
    type: 'header',
    name: 'If-Match',
  })

export const rateLimited = (bucket: string, name: string) =>
  new ServiceError(
    429,
    'rateLimitExceeded',
    `The object ${bucket}/${name} exceeded the rate limit for object mutation operations (create, update, and delete). Please reduce your request rate.`,
  )

/** For what the real service has and this one has not: never an invented answer. */
export const notBuilt = (what: string) =>
  new ServiceError(501, 'notImplemented', `${what} is not built in this local Cloud Storage.`)

/** The request went well, there is only nothing to send: 304 on reads with a NotMatch precondition. */
export class NotModified extends Error {
  override readonly name = 'NotModified'
}
