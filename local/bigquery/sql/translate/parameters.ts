import { quoteIdentifier } from '../../types.ts'
import type { ParameterType, ParameterValue, QueryParameter } from '../contract.ts'
import { type Position, QueryError } from '../errors.ts'
import { arraySql } from './casts.ts'
import { literal } from './literals.ts'
import { arrayOf, duckTypeOf, fieldName, scalar, scalarKind, type SqlType, type Typed } from './types.ts'

/** A query parameter as a literal of its type: https://cloud.google.com/bigquery/docs/parameterized-queries */
export function parameterValue(parameter: QueryParameter, _at: Position): Typed {
  const label = parameter.name ?? 'positional parameter'
  if (parameter.parameterType === undefined) throw new QueryError(`Query parameter '${label}' has no type`, 'invalid')
  return valueOf(parameterType(parameter.parameterType, label), parameter.parameterValue ?? {}, label)
}

function parameterType(type: ParameterType, label: string): SqlType {
  switch (type.type.toUpperCase()) {
    case 'ARRAY':
      if (type.arrayType === undefined) break
      return arrayOf(parameterType(type.arrayType, label))
    case 'STRUCT':
    case 'RECORD':
      return {
        kind: 'STRUCT',
        fields: (type.structTypes ?? []).map((field) => ({
          ...(field.name !== undefined && { name: field.name }),
          type: parameterType(field.type, label),
        })),
      }
    default: {
      const kind = scalarKind(type.type)
      if (kind !== undefined) return scalar(kind)
    }
  }
  throw new QueryError(`Invalid type of query parameter '${label}': ${type.type}`, 'invalid')
}

function valueOf(type: SqlType, value: ParameterValue, label: string): Typed {
  if (type.kind === 'ARRAY') {
    const items = (value.arrayValues ?? []).map((item) => valueOf(type.element, item, label))
    return { sql: arraySql(items, type), type, items }
  }
  if (type.kind === 'STRUCT') return structValue(type, value, label)
  if (value.value === undefined || value.value === null) return { sql: `CAST(NULL AS ${duckTypeOf(type)})`, type }
  if (type.kind === 'NULL') throw new Error('a parameter has a type')
  const text = type.kind === 'BYTES' ? Buffer.from(value.value, 'base64').toString('latin1') : value.value
  const found = literal(type.kind, text)
  if (found === undefined) {
    throw new QueryError(`Invalid value for query parameter '${label}': "${value.value}" is no ${type.kind}`, 'invalid')
  }
  return found
}

function structValue(type: SqlType & { kind: 'STRUCT' }, value: ParameterValue, label: string): Typed {
  const values = value.structValues ?? {}
  const items = type.fields.map((field, i) => valueOf(field.type, values[fieldName(field, i)] ?? {}, label))
  const parts = items.map((item, i) => `${quoteIdentifier(fieldName(type.fields[i] ?? {}, i))} := ${item.sql}`)
  return { sql: `struct_pack(${parts.join(', ')})`, type, items }
}
