import { errorAt } from '../errors.ts'
import { INT64, scalar, type ScalarKind, type SqlType, STRING, type Typed } from '../translate/types.ts'
import { localOf } from '../translate/zones.ts'
import type { FunctionCall, FunctionTable } from './call.ts'
import { quote } from '../translate/literals.ts'
import { DATE_UNITS, datePart, type DatePart, intervalOf, TIME_UNITS, truncated, unknownPart } from './date-parts.ts'
import { formatMoment, parseFormats } from './time-formats.ts'

const DATE = scalar('DATE')
const DATETIME = scalar('DATETIME')
const TIME = scalar('TIME')

/** DATE, DATETIME and TIME functions: https://cloud.google.com/bigquery/docs/reference/standard-sql/date_functions */
export const DATES: FunctionTable = {
  CURRENT_DATE: (call) => now(call, 'DATE'),
  CURRENT_DATETIME: (call) => now(call, 'DATETIME'),
  CURRENT_TIME: (call) => now(call, 'TIME'),
  DATE: (call) => (call.node.args.length === 3 ? ymd(call) : construct(call, 'DATE')),
  DATETIME: (call) => datetime(call),
  TIME: (call) => (call.node.args.length === 3 ? hms(call) : construct(call, 'TIME')),
  DATE_ADD: (call) => shifted(call, '+', DATE, DATE_UNITS),
  DATE_SUB: (call) => shifted(call, '-', DATE, DATE_UNITS),
  DATETIME_ADD: (call) => shifted(call, '+', DATETIME, [...TIME_UNITS, ...DATE_UNITS]),
  DATETIME_SUB: (call) => shifted(call, '-', DATETIME, [...TIME_UNITS, ...DATE_UNITS]),
  TIME_ADD: (call) => shifted(call, '+', TIME, TIME_UNITS),
  TIME_SUB: (call) => shifted(call, '-', TIME, TIME_UNITS),
  DATE_DIFF: (call) => difference(call, DATE, DATE_UNITS),
  DATETIME_DIFF: (call) => difference(call, DATETIME, [...TIME_UNITS, ...DATE_UNITS]),
  TIME_DIFF: (call) => difference(call, TIME, TIME_UNITS),
  DATE_TRUNC: (call) => truncation(call, DATE, DATE_UNITS),
  DATETIME_TRUNC: (call) => truncation(call, DATETIME, [...TIME_UNITS, ...DATE_UNITS]),
  TIME_TRUNC: (call) => truncation(call, TIME, TIME_UNITS),
  DATE_FROM_UNIX_DATE: "INT64 -> DATE | (DATE '1970-01-01' + CAST($1 AS INTEGER))",
  UNIX_DATE: "DATE -> INT64 | CAST(date_diff('day', DATE '1970-01-01', $1) AS BIGINT)",
  LAST_DAY: (call) => lastDay(call),
  FORMAT_DATE: (call) => formatted(call, DATE),
  FORMAT_DATETIME: (call) => formatted(call, DATETIME),
  FORMAT_TIME: (call) => formatted(call, TIME),
  PARSE_DATE: (call) => parsed(call, DATE, 'DATE'),
  PARSE_DATETIME: (call) => parsed(call, DATETIME, 'TIMESTAMP'),
  PARSE_TIME: (call) => parsed(call, TIME, 'TIME'),
}

/** The clock of the statement, in a zone that may be given. */
function now(call: FunctionCall, kind: 'DATE' | 'DATETIME' | 'TIME'): Typed {
  call.count(0, 1)
  const zone = call.node.args.length === 1 ? call.typed(0, STRING).sql : undefined
  const instant = `make_timestamptz(${call.context.env.nowMicros})`
  const local = localOf(instant, zone)
  return { sql: kind === 'DATETIME' ? local : `CAST(${local} AS ${kind})`, type: scalar(kind) }
}

/** DATE and TIME of a timestamp (in a zone), of a DATETIME, or of a text that is a literal. */
function construct(call: FunctionCall, kind: 'DATE' | 'TIME'): Typed {
  call.count(1, 2)
  const local = wallClock(call, kind)
  return { sql: `CAST(${local} AS ${kind})`, type: scalar(kind) }
}

/** The wall clock of the first argument; a second one is the zone of a TIMESTAMP. */
function wallClock(call: FunctionCall, kind: ScalarKind): string {
  const value = call.translate(call.argument(0))
  const zone = call.node.args.length === 2 ? call.typed(1, STRING).sql : undefined
  if (value.type.kind === 'TIMESTAMP') return localOf(value.sql, zone)
  if (zone !== undefined) throw call.noSignature()
  if (value.type.kind === 'DATETIME' || (value.type.kind === 'DATE' && kind !== 'TIME')) return value.sql
  if (value.literal?.kind === 'STRING') return call.typed(0, kind === 'TIME' ? DATETIME : scalar(kind)).sql
  throw call.noSignature()
}

function ymd(call: FunctionCall): Typed {
  const [year, month, day] = [0, 1, 2].map((i) => call.typed(i, INT64).sql)
  return { sql: `make_date(${year}, ${month}, ${day})`, type: DATE }
}

function hms(call: FunctionCall): Typed {
  const [hour, minute, second] = [0, 1, 2].map((i) => call.typed(i, INT64).sql)
  return { sql: `make_time(${hour}, ${minute}, CAST(${second} AS DOUBLE))`, type: TIME }
}

function datetime(call: FunctionCall): Typed {
  call.count(1, 6)
  const { length } = call.node.args
  if (length === 6) {
    const parts = [0, 1, 2, 3, 4, 5].map((i) => call.typed(i, INT64).sql)
    return { sql: `make_timestamp(${parts.slice(0, 5).join(', ')}, CAST(${parts[5]} AS DOUBLE))`, type: DATETIME }
  }
  if (length > 2) throw call.noSignature()
  if (length === 2 && call.translate(call.argument(1)).type.kind === 'TIME') {
    return { sql: `(${call.typed(0, DATE).sql} + ${call.typed(1, TIME).sql})`, type: DATETIME }
  }
  return { sql: `CAST(${wallClock(call, 'DATETIME')} AS TIMESTAMP)`, type: DATETIME }
}

/** An argument `INTERVAL n part` whose part is one of these. */
export function intervalArgument(call: FunctionCall, index: number, units: readonly string[]): string {
  const expr = call.argument(index)
  if (expr.kind !== 'interval') {
    throw errorAt(`Not supported by the local BigQuery: ${call.name} with anything but INTERVAL n part`, call.at)
  }
  if (!units.includes(expr.unit)) throw unknownPart({ name: expr.unit, firstDay: 0 }, call.name, call.at)
  return intervalOf(expr, (inner) => call.translate(inner)).sql
}

function shifted(call: FunctionCall, op: '+' | '-', type: SqlType, units: readonly string[]): Typed {
  call.count(2)
  const sql = `${call.typed(0, type).sql} ${op} ${intervalArgument(call, 1, units)}`
  return { sql: type.kind === 'DATE' ? `CAST(${sql} AS DATE)` : `(${sql})`, type }
}

/** How many boundaries of a part lie between two moments. */
function difference(call: FunctionCall, type: SqlType, units: readonly string[]): Typed {
  call.count(3)
  const part = datePart(call.argument(2))
  if (!units.includes(part.name)) throw unknownPart(part, call.name, call.at)
  const [later, earlier] = [call.typed(0, type).sql, call.typed(1, type).sql]
  return { sql: `CAST(${boundaries(part, earlier, later)} AS BIGINT)`, type: INT64 }
}

function boundaries(part: DatePart, earlier: string, later: string): string {
  if (part.name === 'WEEK' || part.name === 'ISOWEEK') {
    const starts = [earlier, later].map((sql) => truncated(part, `CAST(${sql} AS TIMESTAMP)`))
    return `(date_diff('day', ${starts[0]}, ${starts[1]}) // 7)`
  }
  if (part.name === 'ISOYEAR') return `(date_part('isoyear', ${later}) - date_part('isoyear', ${earlier}))`
  return `date_diff('${part.name.toLowerCase()}', ${earlier}, ${later})`
}

function truncation(call: FunctionCall, type: SqlType, units: readonly string[]): Typed {
  call.count(2)
  const part = datePart(call.argument(1))
  const value = call.typed(0, type).sql
  const known = units.includes(part.name)
  if (!known) throw unknownPart(part, call.name, call.at)
  if (type.kind === 'TIME') {
    return { sql: `CAST(date_trunc('${part.name.toLowerCase()}', DATE '2000-01-01' + ${value}) AS TIME)`, type }
  }
  const sql = truncated(part, type.kind === 'DATE' ? `CAST(${value} AS TIMESTAMP)` : value)
  return { sql: type.kind === 'DATE' ? `CAST(${sql} AS DATE)` : `${sql}`, type }
}

function lastDay(call: FunctionCall): Typed {
  call.count(1, 2)
  const part = call.node.args.length === 2 ? datePart(call.argument(1)) : { name: 'MONTH', firstDay: 0 }
  const value = `CAST(${call.typed(0, DATE).sql} AS TIMESTAMP)`
  const months: Readonly<Record<string, number>> = { MONTH: 1, QUARTER: 3, YEAR: 12 }
  const start = truncated(part, value)
  const length = months[part.name] === undefined ? 'to_days(7)' : `to_months(${months[part.name]})`
  if (start === undefined || ['DAY', 'ISOYEAR', ...TIME_UNITS].includes(part.name))
    throw unknownPart(part, call.name, call.at)
  return { sql: `CAST(${start} + ${length} - to_days(1) AS DATE)`, type: DATE }
}

function formatted(call: FunctionCall, type: SqlType): Typed {
  call.count(2)
  const format = call.constant(0, 'format')
  const value = call.typed(1, type).sql
  const local = type.kind === 'TIME' ? `(DATE '1970-01-01' + ${value})` : `CAST(${value} AS TIMESTAMP)`
  return { sql: formatMoment(format, { local }, call.at), type: STRING }
}

/** Reads a text by a literal format: a wall clock, or an instant when the format has an offset. */
export function parsedText(call: FunctionCall): { sql: string; isInstant: boolean } {
  const formats = parseFormats(call.constant(0, 'format'), call.at)
  const list = formats.length === 1 ? quote(formats[0] ?? '') : `[${formats.map(quote).join(', ')}]`
  const sql = `${call.safe ? 'try_strptime' : 'strptime'}(${call.typed(1, STRING).sql}, ${list})`
  return { sql, isInstant: formats.some((format) => format.includes('%z')) }
}

function parsed(call: FunctionCall, type: SqlType, duck: string): Typed {
  call.count(2)
  const { sql, isInstant } = parsedText(call)
  if (isInstant) throw errorAt(`${call.name} does not read the offset of a zone`, call.at)
  return { sql: `CAST(${sql} AS ${duck})`, type }
}
