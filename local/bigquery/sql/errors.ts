/** Where in the statement something is: both count from 1, as in BigQuery's messages. */
export interface Position {
  line: number
  column: number
}

export type QueryErrorReason = 'invalidQuery' | 'notFound' | 'invalid' | 'duplicate'

const HTTP_CODE: Readonly<Record<QueryErrorReason, number>> = {
  invalidQuery: 400,
  invalid: 400,
  notFound: 404,
  duplicate: 409,
}

/** A statement that BigQuery would refuse, or that the stand-in does not know, in the form of the REST API's errors. */
export class QueryError extends Error {
  override readonly name = 'QueryError'
  readonly reason: QueryErrorReason
  /** The HTTP status of the answer. */
  readonly code: number
  /** The REST API's error location: `query` for a mistake in the text, absent for a missing table. */
  readonly location: string | undefined

  constructor(message: string, reason: QueryErrorReason = 'invalidQuery') {
    super(message)
    this.reason = reason
    this.code = HTTP_CODE[reason]
    this.location = reason === 'invalidQuery' ? 'query' : undefined
  }
}

/** A mistake at a place of the text: `Unrecognized name: x at [1:8]`. */
export function errorAt(message: string, at: Position): QueryError {
  return new QueryError(`${message} at [${at.line}:${at.column}]`)
}
