/**
 * Why an event cannot become a row: the closed list. Inside the codec a reason is a negative number, so that a walk
 * can return either the next position or what went wrong, without an exception.
 */
export const REASONS = {
  truncated: 'the event ends too early',
  trailing_bytes: 'bytes follow the end of the event',
  json_syntax: 'not valid JSON',
  wire_format: 'not valid protobuf',
  too_deep: 'nested deeper than 100 levels',
  too_large: 'larger than the 9 MiB that fit into one append',
  invalid_utf8: 'text that is not valid UTF-8',
  wrong_type: 'a kind of value that the field does not take',
  invalid_value: 'a value that the field cannot be read from',
  out_of_range: 'a value beyond the limits of its type',
  unknown_enum: 'a name that the enum does not have',
  missing_required: 'a required field is missing',
  duplicate_field: 'the same field twice',
  oneof_conflict: 'two fields of one oneof',
  unknown_field: 'a field that the schema does not have',
  no_match: 'the line does not have the form of the pattern',
  line_too_long: 'the line is longer than 64 KiB',
  confluent_envelope: "in Confluent's wire format, which the route takes with envelope: confluent only",
  other_message: "another message of the schema's file than the route's, by Confluent's list of indexes",
} as const

export type ReasonCode = keyof typeof REASONS

/** Why an event was refused, and where in it. */
export interface Rejection {
  readonly reason: ReasonCode
  /** Path of the field, such as `items[2].price`. */
  readonly field?: string
  readonly message: string
}

const CODES = Object.keys(REASONS) as ReasonCode[]

export const TRUNCATED = -1
export const TRAILING = -2
export const JSON_SYNTAX = -3
export const WIRE = -4
export const TOO_DEEP = -5
export const TOO_LARGE = -6
export const UTF8 = -7
export const WRONG_TYPE = -8
export const INVALID = -9
export const RANGE = -10
export const UNKNOWN_ENUM = -11
export const MISSING = -12
export const DUPLICATE = -13
export const ONEOF = -14
export const UNKNOWN_FIELD = -15
export const NO_MATCH = -16
export const LINE_TOO_LONG = -17
export const ENVELOPE = -18
export const OTHER_MESSAGE = -19

/** The rejection that a negative number stands for. */
export function rejectionOf(code: number, field: string): Rejection {
  const reason = CODES[-code - 1] ?? 'invalid_value'
  return field === ''
    ? { reason, message: REASONS[reason] }
    : { reason, field, message: `${field}: ${REASONS[reason]}` }
}
