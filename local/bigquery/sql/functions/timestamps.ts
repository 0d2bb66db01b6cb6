import { cast, textOf } from '../translate/casts.ts'
import { INT64, scalar, STRING, type Typed } from '../translate/types.ts'
import { instantOf, localOf } from '../translate/zones.ts'
import type { FunctionCall, FunctionTable } from './call.ts'
import { DATE_UNITS, datePart, TIME_UNITS, truncated, unknownPart } from './date-parts.ts'
import { intervalArgument, parsedText } from './dates.ts'
import { jsonString } from './json.ts'
import { formatMoment, shortOffset } from './time-formats.ts'

const TIMESTAMP = scalar('TIMESTAMP')

/** Microseconds in the parts that are always of one length. */
const MICROS: Readonly<Record<string, number>> = {
  MICROSECOND: 1,
  MILLISECOND: 1000,
  SECOND: 1_000_000,
  MINUTE: 60_000_000,
  HOUR: 3_600_000_000,
  DAY: 86_400_000_000,
}
const floorTo = (micros: string, unit: number): string => `(${micros} - (${micros} % ${unit} + ${unit}) % ${unit})`

/** TIMESTAMP functions: https://cloud.google.com/bigquery/docs/reference/standard-sql/timestamp_functions */
export const TIMESTAMPS: FunctionTable = {
  CURRENT_TIMESTAMP: (call) => {
    call.count(0)
    return { sql: `make_timestamptz(${call.context.env.nowMicros})`, type: TIMESTAMP }
  },
  TIMESTAMP: (call) => construct(call),
  TIMESTAMP_ADD: (call) => shifted(call, '+'),
  TIMESTAMP_SUB: (call) => shifted(call, '-'),
  TIMESTAMP_DIFF: (call) => difference(call),
  TIMESTAMP_TRUNC: (call) => truncation(call),
  TIMESTAMP_SECONDS: 'INT64 -> TIMESTAMP | make_timestamptz($1 * 1000000)',
  TIMESTAMP_MILLIS: 'INT64 -> TIMESTAMP | make_timestamptz($1 * 1000)',
  TIMESTAMP_MICROS: 'INT64 -> TIMESTAMP | make_timestamptz($1)',
  UNIX_SECONDS: `TIMESTAMP -> INT64 | (${floorTo('epoch_us($1)', 1_000_000)} // 1000000)`,
  UNIX_MILLIS: `TIMESTAMP -> INT64 | (${floorTo('epoch_us($1)', 1000)} // 1000)`,
  UNIX_MICROS: 'TIMESTAMP -> INT64 | epoch_us($1)',
  FORMAT_TIMESTAMP: (call) => {
    call.count(2, 3)
    const format = call.constant(0, 'format')
    const instant = call.typed(1, TIMESTAMP).sql
    const zone = call.node.args.length === 3 ? zoneOf(call, 2) : undefined
    const moment = { local: localOf(instant, zone), instant, ...(zone !== undefined && { zone }) }
    return { sql: formatMoment(format, moment, call.at), type: STRING }
  },
  PARSE_TIMESTAMP: (call) => {
    call.count(2, 3)
    const zone = call.node.args.length === 3 ? zoneOf(call, 2) : undefined
    if (call.constant(0, 'format') === '%s') {
      const seconds = cast(call.typed(1, STRING), INT64, call.safe, call.at)
      return { sql: `make_timestamptz(${seconds.sql} * 1000000)`, type: TIMESTAMP }
    }
    const { sql, isInstant } = parsedText(call)
    return {
      sql: isInstant ? `CAST(${sql} AS TIMESTAMPTZ)` : instantOf(`CAST(${sql} AS TIMESTAMP)`, zone),
      type: TIMESTAMP,
    }
  },
  STRING: (call) => {
    call.count(1, 2)
    const value = call.translate(call.argument(0))
    if (call.node.args.length === 1 && value.type.kind === 'JSON') return jsonString(call, value)
    const text = call.node.args.length === 1 ? textOf(value) : undefined
    if (
      call.node.args.length === 1 &&
      text !== undefined &&
      ['TIMESTAMP', 'DATE', 'DATETIME', 'TIME'].includes(value.type.kind)
    ) {
      return { sql: text, type: STRING }
    }
    if (call.node.args.length !== 2) throw call.noSignature()
    const instant = call.typed(0, TIMESTAMP).sql
    const zone = zoneOf(call, 1)
    const moment = { local: localOf(instant, zone), instant, ...(zone !== undefined && { zone }) }
    const local = textOf({ sql: moment.local, type: scalar('DATETIME') })
    return { sql: `(${local} || ${shortOffset(moment)})`, type: STRING }
  },
}

/** The zone of an argument; undefined when it is UTC by name, which goes the fast way. */
function zoneOf(call: FunctionCall, index: number): string | undefined {
  const zone = call.typed(index, STRING)
  return zone.literal !== undefined && /^(utc|gmt|\+00:00)$/i.test(zone.literal.text) ? undefined : zone.sql
}

function construct(call: FunctionCall): Typed {
  call.count(1, 2)
  const value = call.translate(call.argument(0))
  const zone = call.node.args.length === 2 ? zoneOf(call, 1) : undefined
  switch (value.type.kind) {
    case 'TIMESTAMP':
      if (zone === undefined) return value
      break
    case 'DATE':
      return { sql: instantOf(`CAST(${value.sql} AS TIMESTAMP)`, zone), type: TIMESTAMP }
    case 'DATETIME':
      return { sql: instantOf(value.sql, zone), type: TIMESTAMP }
    case 'STRING':
      if (zone === undefined) return cast(value, TIMESTAMP, call.safe, call.at)
      return { sql: instantOf(cast(value, scalar('DATETIME'), call.safe, call.at).sql, zone), type: TIMESTAMP }
    default:
  }
  throw call.noSignature()
}

function shifted(call: FunctionCall, op: '+' | '-'): Typed {
  call.count(2)
  const interval = intervalArgument(call, 1, Object.keys(MICROS))
  const expr = call.argument(1)
  const unit = expr.kind === 'interval' ? MICROS[expr.unit] : undefined
  if (expr.kind !== 'interval' || unit === undefined)
    return { sql: `(${call.typed(0, TIMESTAMP).sql} ${op} ${interval})`, type: TIMESTAMP }
  const count = call.translate(expr.value).sql
  return {
    sql: `make_timestamptz(epoch_us(${call.typed(0, TIMESTAMP).sql}) ${op} ${count} * ${unit})`,
    type: TIMESTAMP,
  }
}

/** Whole parts between two instants, cut towards zero; not the boundaries between them, as for dates. */
function difference(call: FunctionCall): Typed {
  call.count(3)
  const part = datePart(call.argument(2))
  const unit = MICROS[part.name]
  if (unit === undefined) throw unknownPart(part, call.name, call.at)
  const [later, earlier] = [call.typed(0, TIMESTAMP).sql, call.typed(1, TIMESTAMP).sql]
  return { sql: `((epoch_us(${later}) - epoch_us(${earlier})) // ${unit})`, type: INT64 }
}

function truncation(call: FunctionCall): Typed {
  call.count(2, 3)
  const part = datePart(call.argument(1))
  const value = call.typed(0, TIMESTAMP).sql
  const zone = call.node.args.length === 3 ? zoneOf(call, 2) : undefined
  const known = [...TIME_UNITS, ...DATE_UNITS].includes(part.name)
  const sql = known ? truncated(part, localOf(value, zone)) : undefined
  if (sql === undefined) throw unknownPart(part, call.name, call.at)
  return { sql: instantOf(sql, zone), type: TIMESTAMP }
}
