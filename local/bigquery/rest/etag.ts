import { createHash } from 'node:crypto'
import { RestError } from './errors.ts'

/** An etag that changes with everything that is kept about a dataset or a table. */
export function etagOf(entry: unknown): string {
  return createHash('sha256').update(JSON.stringify(entry)).digest('base64url').slice(0, 22)
}

/** Refuses a change when `If-Match` names another state. */
export function checkIfMatch(ifMatch: string | undefined, entry: unknown): void {
  if (ifMatch === undefined || ifMatch === '*' || ifMatch.replaceAll('"', '') === etagOf(entry)) return
  throw new RestError(412, 'conditionNotMet', 'Precondition check failed.', 'If-Match')
}
