import { errorAt } from '../errors.ts'
import { quote } from '../translate/literals.ts'
import { textOf } from '../translate/casts.ts'
import {
  arrayOf,
  BOOL,
  coercible,
  FLOAT64,
  fieldName,
  INT64,
  scalar,
  type SqlType,
  STRING,
  type Typed,
  typeText,
} from '../translate/types.ts'
import { quoteIdentifier } from '../../types.ts'
import type { FunctionCall, FunctionTable } from './call.ts'

const JSON_TYPE = scalar('JSON')

/** JSON functions: https://cloud.google.com/bigquery/docs/reference/standard-sql/json_functions */
export const JSON_FUNCTIONS: FunctionTable = {
  JSON_VALUE: (call) => scalarAt(call),
  JSON_EXTRACT_SCALAR: (call) => scalarAt(call),
  JSON_QUERY: (call) => elementAt(call),
  JSON_EXTRACT: (call) => elementAt(call),
  JSON_VALUE_ARRAY: (call) => scalarsAt(call),
  JSON_EXTRACT_STRING_ARRAY: (call) => scalarsAt(call),
  JSON_QUERY_ARRAY: (call) => elementsAt(call),
  JSON_EXTRACT_ARRAY: (call) => elementsAt(call),
  JSON_TYPE: (call) => {
    call.count(1)
    const type = `json_type(${call.typed(0, JSON_TYPE).sql})`
    const numbers = `WHEN ${type} IN ('BIGINT', 'UBIGINT', 'DOUBLE', 'HUGEINT') THEN 'number'`
    return { sql: `CASE ${numbers} WHEN ${type} = 'VARCHAR' THEN 'string' ELSE lower(${type}) END`, type: STRING }
  },
  PARSE_JSON: (call) => {
    call.count(1)
    const text = call.typed(0, STRING).sql
    const invalid = call.raise("'Invalid input to PARSE_JSON: syntax error while parsing value'")
    return {
      sql: `CASE WHEN json_valid(${text}) THEN CAST(${text} AS JSON) WHEN ${text} IS NOT NULL THEN ${invalid} END`,
      type: JSON_TYPE,
    }
  },
  TO_JSON: (call) => {
    call.count(1)
    const [value] = call.args
    if (value === undefined) throw call.noSignature()
    return { sql: `coalesce(${jsonOf(call, value)}, CAST('null' AS JSON))`, type: JSON_TYPE }
  },
  TO_JSON_STRING: (call) => {
    call.count(1, 2)
    const [value, pretty] = call.args
    if (value === undefined || (pretty !== undefined && pretty.sql !== 'FALSE')) throw call.noSignature()
    return { sql: `coalesce(CAST(json(${jsonOf(call, value)}) AS VARCHAR), 'null')`, type: STRING }
  },
  BOOL: (call) => strict(call, BOOL, "'BOOLEAN'", 'BOOLEAN'),
  INT64: (call) => strict(call, INT64, "'BIGINT', 'UBIGINT'", 'BIGINT'),
  FLOAT64: (call) => strict(call, FLOAT64, "'BIGINT', 'UBIGINT', 'DOUBLE'", 'DOUBLE'),
}

/** The JSON to read: a JSON value, or a text; a text that is no JSON reads as NULL. */
function source(call: FunctionCall): { sql: string; isText: boolean } {
  const value = call.translate(call.argument(0))
  if (value.type.kind === 'JSON') return { sql: value.sql, isText: false }
  if (!coercible(value, STRING)) throw call.noSignature()
  return { sql: `CASE WHEN json_valid(${value.sql}) THEN ${value.sql} END`, isText: true }
}

/** A path of members and indexes, as DuckDB writes it: `$."a"[0]`. */
function path(call: FunctionCall, index = 1): string {
  if (call.node.args.length <= index) return "'$'"
  const text = call.constant(index, 'JSONPath')
  const steps =
    /^\$((?:\.(?:[A-Za-z0-9_\-\u0080-\uffff]+|"(?:[^"\\]|\\.)*")|\[(?:\d+|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\])*)$/.exec(
      text,
    )?.[1]
  if (steps === undefined) {
    throw errorAt(
      /[*?@:]/.test(text)
        ? 'Unsupported operator in JSONPath: *'
        : `Invalid token in JSONPath at: ${text.replace(/^\$/, '')}`,
      call.at,
    )
  }
  const parts = steps.matchAll(
    /\.([^."[\]]+)|\.?"((?:[^"\\]|\\.)*)"|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]/g,
  )
  const names = [...parts].map(([, plain, quoted, position, single, double]) => {
    if (position !== undefined) return `[${position}]`
    return `."${(plain ?? quoted ?? single ?? double ?? '').replaceAll("\\'", "'")}"`
  })
  return quote(`$${names.join('')}`)
}

/** A string, number or Boolean as text; NULL for anything else. */
function scalarAt(call: FunctionCall): Typed {
  call.count(1, 2)
  return { sql: `(json_value(${source(call).sql}, ${path(call)}) ->> '$')`, type: STRING }
}

function elementAt(call: FunctionCall): Typed {
  call.count(1, 2)
  const { sql, isText } = source(call)
  const found = `json_extract(${sql}, ${path(call)})`
  return isText ? { sql: `nullif(CAST(${found} AS VARCHAR), 'null')`, type: STRING } : { sql: found, type: JSON_TYPE }
}

function elements(call: FunctionCall): { list: string; isText: boolean } {
  call.count(1, 2)
  const { sql, isText } = source(call)
  const found = `json_extract(${sql}, ${path(call)})`
  return { list: `CASE WHEN json_type(${found}) = 'ARRAY' THEN CAST(${found} AS JSON[]) END`, isText }
}

function elementsAt(call: FunctionCall): Typed {
  const { list, isText } = elements(call)
  return { sql: isText ? `CAST(${list} AS VARCHAR[])` : list, type: arrayOf(isText ? STRING : JSON_TYPE) }
}

/** The scalars of an array; NULL when one of its elements is none. */
function scalarsAt(call: FunctionCall): Typed {
  const { list } = elements(call)
  const plain = `list_transform(${list}, lambda item: item ->> '$')`
  const nested = `len(list_filter(${list}, lambda item: json_type(item) IN ('OBJECT', 'ARRAY'))) > 0`
  return { sql: `CASE WHEN ${nested} THEN NULL ELSE ${plain} END`, type: arrayOf(STRING) }
}

/** BOOL, INT64, FLOAT64 and STRING of a JSON value of that very type. */
function strict(call: FunctionCall, type: SqlType, jsonTypes: string, duck: string): Typed {
  call.count(1)
  return strictValue(call, call.typed(0, JSON_TYPE), type, jsonTypes, duck)
}

function strictValue(call: FunctionCall, value: Typed, type: SqlType, jsonTypes: string, duck: string): Typed {
  const wrong = call.raise(
    `'The provided JSON input is not ${type.kind === 'INT64' ? 'an integer' : `a ${typeText(type)}`}'`,
  )
  const sql =
    `CASE WHEN json_type(${value.sql}) IN (${jsonTypes}) THEN CAST((${value.sql} ->> '$') AS ${duck}) ` +
    `WHEN ${value.sql} IS NOT NULL THEN ${wrong} END`
  return { sql, type }
}

export function jsonString(call: FunctionCall, value: Typed): Typed {
  return strictValue(call, value, STRING, "'VARCHAR'", 'VARCHAR')
}

/** A value as JSON, dates and times as text in ISO 8601, bytes as base64. */
function jsonOf(call: FunctionCall, value: Typed): string {
  return value.type.kind === 'JSON' ? value.sql : `to_json(${plain(call, value.sql, value.type, 0)})`
}

function plain(call: FunctionCall, sql: string, type: SqlType, depth: number): string {
  switch (type.kind) {
    case 'ARRAY': {
      const item = `item${depth}`
      const element = plain(call, item, type.element, depth + 1)
      return element === item ? sql : `list_transform(${sql}, lambda ${item}: ${element})`
    }
    case 'STRUCT': {
      const parts = type.fields.map((field, i) => {
        const name = fieldName(field, i)
        return `${quoteIdentifier(name)} := ${plain(call, `struct_extract(${sql}, ${quote(name)})`, field.type, depth)}`
      })
      return `CASE WHEN ${sql} IS NOT NULL THEN struct_pack(${parts.join(', ')}) END`
    }
    case 'TIMESTAMP':
      return `replace(replace(${textOf({ sql, type })}, ' ', 'T'), '+00', 'Z')`
    case 'DATETIME':
      return `replace(${textOf({ sql, type })}, ' ', 'T')`
    case 'DATE':
    case 'TIME':
    case 'BIGNUMERIC':
      return textOf({ sql, type }) ?? sql
    case 'BYTES':
      return `base64(${sql})`
    case 'NUMERIC':
      return `CAST(${textOf({ sql, type })} AS JSON)`
    case 'INTERVAL':
      throw errorAt(`Not supported by the local BigQuery: ${call.name} of an INTERVAL`, call.at)
    default:
      return sql
  }
}
