import { randomUUID } from 'node:crypto'
import type { BigQueryType } from '../types.ts'
import { parseDatetime } from './civil.ts'
import { CONVERSIONS, type Convert, type Family, setDouble } from './convert.ts'
import type { FieldDescriptor } from './descriptor.ts'
import { Reader } from './reader.ts'

type SetValue = (reader: Reader) => void
type Scalar = Exclude<BigQueryType, 'RECORD'>

/** The literal forms and functions that a column's default may have here; anything else is refused with its table. */
const LITERAL = /^(?:(?:DATE|DATETIME|TIME|TIMESTAMP|JSON|NUMERIC|BIGNUMERIC|INTERVAL)\s*)?(['"])([^'"\\]*)\1$/i
const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i
const CALL = /^(CURRENT_TIMESTAMP|CURRENT_DATETIME|CURRENT_DATE|CURRENT_TIME|GENERATE_UUID)\s*(?:\(\s*\))?$/i

/** Whether `columnDefault` understands an expression for a type. */
export function isKnownDefault(expression: string, type: BigQueryType): boolean {
  try {
    columnDefault(expression, type, Date.now)
    return true
  } catch {
    return false
  }
}

/**
 * Compiles a defaultValueExpression; undefined is NULL. `now` gives milliseconds: the time of the append.
 * Throws when the expression is not one of the forms above or does not fit the type.
 */
export function columnDefault(expression: string, type: BigQueryType, now: () => number): SetValue | undefined {
  const text = expression.trim()
  if (/^NULL$/i.test(text)) return undefined
  if (type === 'RECORD') throw new Error('a RECORD has no default here')
  const call = CALL.exec(text)?.[1]?.toUpperCase()
  if (call !== undefined) return functionDefault(call, type, now)
  if (/^(TRUE|FALSE)$/i.test(text) && type === 'BOOL') return constant(/^TRUE$/i.test(text) ? 1 : 0)
  const literal = LITERAL.exec(text)?.[2] ?? (NUMBER.test(text) ? text : undefined)
  if (literal === undefined) throw new Error(`the default ${expression} is not built`)
  return literalDefault(literal, type)
}

function functionDefault(call: string, type: Scalar, now: () => number): SetValue {
  const iso = () => new Date(now()).toISOString()
  if (call === 'CURRENT_TIMESTAMP' && type === 'TIMESTAMP') return fromText('TIMESTAMP', iso)
  if (call === 'CURRENT_DATETIME' && type === 'DATETIME') return fromText('DATETIME', iso)
  if (call === 'CURRENT_DATE' && type === 'DATE') return fromText('DATE', iso)
  if (call === 'CURRENT_TIME' && type === 'TIME') return fromText('TIME', iso)
  if (call === 'GENERATE_UUID' && type === 'STRING') return fromText('STRING', () => randomUUID())
  throw new Error(`${call} gives no ${type}`)
}

function fromText(type: Scalar, text: () => string): SetValue {
  return (reader) => void setText(reader, type, text())
}

/** A literal is tried once, so that a default that cannot be one is found when the table is made. */
function literalDefault(literal: string, type: Scalar): SetValue {
  const problem = setText(new Reader(), type, literal)
  if (problem !== '') throw new Error(problem)
  return (reader) => void setText(reader, type, literal)
}

/** Sets the column's form of a text. Returns why not, or ''. */
function setText(reader: Reader, type: Scalar, text: string): string {
  reader.setBytes(Buffer.from(text))
  switch (type) {
    case 'INT64':
      return setInteger(reader, text)
    case 'FLOAT64':
      setDouble(reader, Number(text))
      return Number.isNaN(Number(text)) ? 'no number' : ''
    case 'BOOL':
      return 'no BOOL'
    case 'TIMESTAMP':
      return setTimestamp(reader, text)
    case 'DATE':
      reader.setBytes(Buffer.from(text.slice(0, 10)))
      return CONVERSIONS.DATE.string?.(reader) ?? ''
    case 'TIME':
      reader.setBytes(Buffer.from(text.replace(/^.*T|Z$/g, '')))
      return CONVERSIONS.TIME.string?.(reader) ?? ''
    case 'DATETIME':
      reader.setBytes(Buffer.from(text.replace(/Z$/, '')))
      return CONVERSIONS.DATETIME.string?.(reader) ?? ''
    default:
      return CONVERSIONS[type].string?.(reader) ?? `no ${type} from text`
  }
}

function setInteger(reader: Reader, text: string): string {
  if (!/^[+-]?\d{1,19}$/.test(text)) return 'no integer'
  const value = BigInt(text)
  reader.lo = Number(BigInt.asUintN(32, value))
  reader.hi = Number(BigInt.asUintN(32, value >> 32n))
  return BigInt.asIntN(64, value) === value ? '' : 'Integer overflow'
}

/** A time of day in UTC unless the text ends in an offset; names of time zones are not read. */
function setTimestamp(reader: Reader, text: string): string {
  const match = /^(.+?)\s*(?:Z|UTC|([+-])(\d{1,2})(?::?(\d{2}))?)?$/i.exec(text.trim())
  const micros = parseDatetime(match?.[1] ?? '')
  if (match === null || micros === undefined) return 'no TIMESTAMP'
  const [, , sign, hours = '0', minutes = '0'] = match
  const offset = BigInt(Number(hours) * 60 + Number(minutes)) * 60_000_000n
  const value = sign === '-' ? micros + offset : micros - offset
  reader.lo = Number(BigInt.asUintN(32, value))
  reader.hi = Number(BigInt.asUintN(32, value >> 32n))
  return ''
}

const constant =
  (value: number): SetValue =>
  (reader) =>
    reader.setNumber(value)

/**
 * What an absent field of the writer means when its descriptor declares a default (as Go's NormalizeDescriptor does for
 * the implicit zero values of proto3); undefined when it declares none.
 */
export function protoDefault(
  writer: FieldDescriptor,
  family: Family | 'message',
  convert: Convert,
  enumNumber: (name: string) => number | undefined,
): SetValue | undefined {
  const text = writer.defaultValue
  if (text === undefined || writer.repeated || family === 'message') return undefined
  return (reader) => {
    if (family === 'string' || family === 'bytes')
      reader.setBytes(Buffer.from(text, family === 'bytes' ? 'latin1' : 'utf8'))
    else if (family === 'double')
      setDouble(reader, text.endsWith('inf') ? Number(text.replace('inf', 'Infinity')) : Number(text))
    else if (family === 'bool') reader.setNumber(text === 'true' ? 1 : 0)
    else if (family === 'enum') reader.setNumber(enumNumber(text) ?? 0)
    else setInteger(reader, text)
    convert(reader)
  }
}
