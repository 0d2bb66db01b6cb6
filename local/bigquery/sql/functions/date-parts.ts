import { errorAt, type Position } from '../errors.ts'
import type { Expr } from '../parse/ast.ts'
import { INT64, scalar, type ScalarKind, type Typed, typeText } from '../translate/types.ts'
import { localOf } from '../translate/zones.ts'
import { coerce } from '../translate/casts.ts'

type ExtractExpr = Extract<Expr, { kind: 'extract' }>
type IntervalExpr = Extract<Expr, { kind: 'interval' }>

const WEEKDAYS = ['SUNDAY', 'MONDAY', 'TUESDAY', 'WEDNESDAY', 'THURSDAY', 'FRIDAY', 'SATURDAY']

/** A date part as it stands in a call: DAY, or WEEK(MONDAY). */
export interface DatePart {
  name: string
  /** For WEEK: the number of its first day, Sunday being 0. */
  firstDay: number
}

export function datePart(expr: Expr): DatePart {
  if (expr.kind === 'name') return { name: expr.name.toUpperCase(), firstDay: 0 }
  const [day] = expr.kind === 'call' && expr.name === 'WEEK' ? expr.args : []
  const firstDay = day?.kind === 'name' ? WEEKDAYS.indexOf(day.name.toUpperCase()) : -1
  if (firstDay < 0) throw errorAt('A valid date part name is required', expr.at)
  return { name: 'WEEK', firstDay }
}

export const TIME_UNITS: readonly string[] = ['MICROSECOND', 'MILLISECOND', 'SECOND', 'MINUTE', 'HOUR']
export const DATE_UNITS: readonly string[] = ['DAY', 'WEEK', 'ISOWEEK', 'MONTH', 'QUARTER', 'YEAR', 'ISOYEAR']

export function unknownPart(part: DatePart, what: string, at: Position): Error {
  return errorAt(`${what} does not support the ${part.name} date part`, at)
}

/** DuckDB text that cuts a DATETIME (or a DATE cast to one) to a part; undefined: not a part of it. */
export function truncated(part: DatePart, local: string): string | undefined {
  switch (part.name) {
    case 'WEEK': {
      // DuckDB's weeks begin on Monday: move the wished first day there and back.
      const shift = (part.firstDay + 6) % 7
      return shift === 0
        ? `date_trunc('week', ${local})`
        : `(date_trunc('week', ${local} - to_days(${shift})) + to_days(${shift}))`
    }
    case 'ISOWEEK':
      return `date_trunc('week', ${local})`
    case 'ISOYEAR':
      return `date_trunc('week', make_timestamp(date_part('isoyear', ${local}), 1, 4, 0, 0, 0))`
    default:
      return [...TIME_UNITS, 'DAY', 'MONTH', 'QUARTER', 'YEAR'].includes(part.name)
        ? `date_trunc('${part.name.toLowerCase()}', ${local})`
        : undefined
  }
}

const EXTRACTED: Readonly<Record<string, (local: string) => string>> = {
  MICROSECOND: (local) => `(date_part('microseconds', ${local}) % 1000000)`,
  MILLISECOND: (local) => `(date_part('milliseconds', ${local}) % 1000)`,
  SECOND: (local) => `date_part('second', ${local})`,
  MINUTE: (local) => `date_part('minute', ${local})`,
  HOUR: (local) => `date_part('hour', ${local})`,
  DAY: (local) => `date_part('day', ${local})`,
  DAYOFWEEK: (local) => `(date_part('dayofweek', ${local}) + 1)`,
  DAYOFYEAR: (local) => `date_part('dayofyear', ${local})`,
  ISOWEEK: (local) => `date_part('week', ${local})`,
  MONTH: (local) => `date_part('month', ${local})`,
  QUARTER: (local) => `date_part('quarter', ${local})`,
  YEAR: (local) => `date_part('year', ${local})`,
  ISOYEAR: (local) => `date_part('isoyear', ${local})`,
}

/** The week of the year; the days before the first such day of the year are in week 0. */
function week(part: DatePart, local: string): string {
  const sinceFirst = `(date_part('dayofweek', ${local}) + ${7 - part.firstDay}) % 7`
  return `((date_part('dayofyear', ${local}) + 6 - ${sinceFirst}) // 7)`
}

/** EXTRACT: https://cloud.google.com/bigquery/docs/reference/standard-sql/timestamp_functions#extract */
export function extract(expr: ExtractExpr, translate: (expr: Expr) => Typed): Typed {
  const part = datePart(expr.part)
  const value = translate(expr.operand)
  const zone = expr.zone && translate(expr.zone)
  const { kind } = value.type
  if (kind === 'INTERVAL') throw errorAt('Not supported by the local BigQuery: EXTRACT from an INTERVAL', expr.at)
  if (kind !== 'TIMESTAMP' && kind !== 'DATETIME' && kind !== 'DATE' && kind !== 'TIME') {
    throw errorAt(`EXTRACT does not support arguments of type: ${typeText(value.type)}`, expr.at)
  }
  if (zone !== undefined && kind !== 'TIMESTAMP')
    throw errorAt('EXTRACT from this type does not support AT TIME ZONE', expr.at)
  const local = kind === 'TIMESTAMP' ? localOf(value.sql, zone?.sql) : value.sql
  if (part.name === 'DATE' || part.name === 'TIME' || part.name === 'DATETIME')
    return wholePart(part.name, kind, local, expr.at)
  const known = allowed(kind).includes(part.name)
  const sql = known ? (part.name === 'WEEK' ? week(part, local) : EXTRACTED[part.name]?.(local)) : undefined
  if (sql === undefined) throw unknownPart(part, `EXTRACT from ${kind}`, expr.at)
  return { sql: `CAST(${sql} AS BIGINT)`, type: INT64 }
}

function allowed(kind: ScalarKind): readonly string[] {
  const dates = [...DATE_UNITS, 'DAYOFWEEK', 'DAYOFYEAR']
  return kind === 'TIME' ? TIME_UNITS : kind === 'DATE' ? dates : [...TIME_UNITS, ...dates]
}

function wholePart(part: 'DATE' | 'TIME' | 'DATETIME', kind: ScalarKind, local: string, at: Position): Typed {
  if (kind === 'DATE' || kind === 'TIME' || (kind === 'DATETIME' && part === 'DATETIME')) {
    throw errorAt(`EXTRACT from ${kind} does not support the ${part} date part`, at)
  }
  const duck = part === 'DATETIME' ? 'TIMESTAMP' : part
  return { sql: part === 'DATETIME' ? local : `CAST(${local} AS ${duck})`, type: scalar(part) }
}

const INTERVAL_UNITS: Readonly<Record<string, (count: string) => string>> = {
  YEAR: (count) => `to_years(CAST(${count} AS INTEGER))`,
  QUARTER: (count) => `to_months(CAST(3 * ${count} AS INTEGER))`,
  MONTH: (count) => `to_months(CAST(${count} AS INTEGER))`,
  WEEK: (count) => `to_days(CAST(7 * ${count} AS INTEGER))`,
  DAY: (count) => `to_days(CAST(${count} AS INTEGER))`,
  HOUR: (count) => `to_hours(${count})`,
  MINUTE: (count) => `to_minutes(${count})`,
  SECOND: (count) => `to_microseconds(${count} * 1000000)`,
  MILLISECOND: (count) => `to_microseconds(${count} * 1000)`,
  MICROSECOND: (count) => `to_microseconds(${count})`,
}

/** `INTERVAL n unit`. The form with a range of units and a text is refused. */
export function intervalOf(expr: IntervalExpr, translate: (expr: Expr) => Typed): Typed {
  const make = INTERVAL_UNITS[expr.unit]
  if (make === undefined || expr.toUnit !== undefined) {
    throw errorAt('Not supported by the local BigQuery: this form of INTERVAL', expr.at)
  }
  const count = translate(expr.value)
  if (count.type.kind !== 'INT64' && count.type.kind !== 'NULL') {
    throw errorAt(`Interval value must be coercible to INT64 type, but has type ${typeText(count.type)}`, expr.at)
  }
  return { sql: make(coerce(count, INT64, expr.at).sql), type: scalar('INTERVAL') }
}
