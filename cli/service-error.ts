import { messageOf } from '../shared/errors.ts'

/** What a service answered, in its own words: `invalidQuery: Unrecognized name: x at [1:8]`. */
export function describeServiceError(error: unknown): string {
  const { errors } = error as { errors?: { reason?: string; message?: string }[] }
  const [first] = errors ?? []
  return first?.message ? [first.reason, first.message].filter(Boolean).join(': ') : messageOf(error)
}
