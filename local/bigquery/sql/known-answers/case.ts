import type { QueryParameter } from '../contract.ts'

/** A value of a result: scalars as the REST API writes them, a record as the list of its values, timestamps in ISO 8601. */
export type Answer = string | null | readonly Answer[]

/**
 * A statement, and the rows that BigQuery's documentation (or arithmetic by hand) gives for it. An answer that is a
 * regular expression is the message of an error. Never an answer that was taken from this program.
 */
export interface Case {
  sql: string
  rows?: readonly (readonly Answer[])[]
  error?: string
  parameters?: readonly QueryParameter[]
}

/** One row with these values. */
export function one(sql: string, ...values: Answer[]): Case {
  return { sql, rows: [values] }
}

/** Several rows, in this order. */
export function many(sql: string, ...rows: (readonly Answer[])[]): Case {
  return { sql, rows }
}

/** The statement is refused with this very message. */
export function refused(sql: string, error: string): Case {
  return { sql, error }
}
