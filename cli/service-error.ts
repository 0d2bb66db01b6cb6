import { messageOf, UserError } from '../shared/errors.ts'

/** What a service answered, in its own words: `invalidQuery: Unrecognized name: x at [1:8]`. */
export function describeServiceError(error: unknown): string {
  const { errors } = error as { errors?: { reason?: string; message?: string }[] }
  const [first] = errors ?? []
  return first?.message ? [first.reason, first.message].filter(Boolean).join(': ') : messageOf(error)
}

/** The same as a UserError: `fix` where the service answered, else where to look for it. */
export function serviceError(error: unknown, fix: string): UserError {
  if (error instanceof UserError) return error
  const answered = (error as { errors?: unknown[] }).errors !== undefined
  return new UserError(
    describeServiceError(error),
    answered ? fix : 'is it running? see endpoints in the configuration, and npm start',
  )
}
