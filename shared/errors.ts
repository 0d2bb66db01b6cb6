/**
 * A mistake that only the user can mend: a broken configuration, a busy port, a missing file.
 * The command prints the message and the fix, without a stack, and exits 2.
 */
export class UserError extends Error {
  override readonly name = 'UserError'
  /** What the user should do, one sentence; printed on a line of its own. */
  readonly fix: string | undefined

  constructor(message: string, fix?: string, options?: ErrorOptions) {
    super(message, options)
    this.fix = fix
  }
}

/** The message of anything that was thrown, without a stack. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

/** What `attempt` answers; what it throws is a mistake that the user can mend. */
export function orUserError<T>(attempt: () => T, where: string, fix: string): T {
  try {
    return attempt()
  } catch (cause) {
    return asUserError(where, fix)(cause)
  }
}

/** The same for a promise that rejects: to be its `catch`. */
export const asUserError =
  (where: string, fix: string) =>
  (cause: unknown): never => {
    if (cause instanceof UserError) throw cause
    throw new UserError(`${where}: ${messageOf(cause)}`, fix, { cause })
  }
