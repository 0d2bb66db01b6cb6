import { UserError } from '../../../shared/errors.ts'

/** The one error of a data folder that cannot be read: it names the file and says what to do. */
export function corrupt(file: string, what: string, options?: ErrorOptions): UserError {
  return new UserError(
    `the data folder of the local BigQuery is damaged: ${file}: ${what}`,
    'Move the folder away (or delete it, when its rows are not needed) and start again.',
    options,
  )
}
