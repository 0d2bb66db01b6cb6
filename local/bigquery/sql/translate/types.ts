import {
  type BigQueryType,
  canonicalType,
  DUCK_SCALAR,
  modeOf,
  quoteIdentifier,
  restType,
  type TableField,
} from '../../types.ts'
import { errorAt, QueryError } from '../errors.ts'
import type { TypeName } from '../parse/ast.ts'

export type ScalarKind = Exclude<BigQueryType, 'RECORD'>

export interface StructType {
  kind: 'STRUCT'
  fields: readonly { name?: string; type: SqlType }[]
}

/** A GoogleSQL type. NULL is the type of an untyped NULL, which takes any other type. */
export type SqlType = { kind: ScalarKind | 'NULL' } | { kind: 'ARRAY'; element: SqlType } | StructType

/** An expression: its DuckDB text and its GoogleSQL type. */
export interface Typed {
  sql: string
  type: SqlType
  /** Set for literals and parameters: they may be coerced further than other expressions. */
  literal?: { kind: ScalarKind | 'NULL'; text: string }
  /** Set for `[...]` and `STRUCT(...)`, whose parts can be coerced one by one. */
  items?: readonly Typed[]
}

const scalarTypes = new Map<ScalarKind | 'NULL', SqlType>()

/** The one object for a scalar type. */
export function scalar(kind: ScalarKind | 'NULL'): SqlType {
  let type = scalarTypes.get(kind)
  if (type === undefined) scalarTypes.set(kind, (type = { kind }))
  return type
}

export const INT64 = scalar('INT64')
export const FLOAT64 = scalar('FLOAT64')
export const BOOL = scalar('BOOL')
export const STRING = scalar('STRING')
export const NULL_TYPE = scalar('NULL')

export function arrayOf(element: SqlType): SqlType {
  return { kind: 'ARRAY', element }
}

/** The type of a column, from its field in the table's schema. */
export function typeOfField(field: TableField): SqlType {
  const kind = canonicalType(field.type)
  if (kind === undefined) throw new QueryError(`Unsupported type of column ${field.name}: ${field.type}`)
  const element: SqlType =
    kind === 'RECORD'
      ? {
          kind: 'STRUCT',
          fields: (field.fields ?? []).map((member) => ({ name: member.name, type: typeOfField(member) })),
        }
      : scalar(kind)
  return modeOf(field) === 'REPEATED' ? arrayOf(element) : element
}

/** A column of a result in the REST API's form. An untyped NULL is an INT64, as in BigQuery. */
export function fieldOfType(name: string, type: SqlType): TableField {
  if (type.kind === 'ARRAY') return { ...fieldOfType(name, type.element), mode: 'REPEATED' }
  if (type.kind !== 'STRUCT') {
    return { name, type: restType(type.kind === 'NULL' ? 'INT64' : type.kind), mode: 'NULLABLE' }
  }
  const fields = type.fields.map((field, i) => fieldOfType(field.name ?? `_field_${i + 1}`, field.type))
  return { name, type: 'RECORD', mode: 'NULLABLE', fields }
}

/** The DuckDB type that holds a GoogleSQL type. */
export function duckTypeOf(type: SqlType): string {
  if (type.kind === 'ARRAY') return `${duckTypeOf(type.element)}[]`
  if (type.kind === 'NULL') return DUCK_SCALAR.INT64
  if (type.kind !== 'STRUCT') return DUCK_SCALAR[type.kind]
  return `STRUCT(${type.fields.map((field, i) => `${quoteIdentifier(fieldName(field, i))} ${duckTypeOf(field.type)}`).join(', ')})`
}

/** The name of a struct field inside DuckDB: fields without a name get one. */
export function fieldName(field: { name?: string }, index: number): string {
  return field.name ?? `_field_${index + 1}`
}

/** A type as messages and INFORMATION_SCHEMA spell it. */
export function typeText(type: SqlType): string {
  if (type.kind === 'ARRAY') return `ARRAY<${typeText(type.element)}>`
  if (type.kind === 'NULL') return 'INT64'
  if (type.kind !== 'STRUCT') return type.kind
  return `STRUCT<${type.fields.map((field) => (field.name === undefined ? '' : `${field.name} `) + typeText(field.type)).join(', ')}>`
}

/** The type that a statement or a parameter names. */
export function typeOfName(name: TypeName): SqlType {
  if (name.kind === 'array') return arrayOf(typeOfName(name.element))
  if (name.kind === 'struct') {
    const fields = name.fields.map((field) => ({
      ...(field.name !== undefined && { name: field.name }),
      type: typeOfName(field.type),
    }))
    return { kind: 'STRUCT', fields }
  }
  const kind = scalarKind(name.name)
  if (kind === undefined) throw errorAt(`Type not found: ${name.name}`, name.at)
  return scalar(kind)
}

/** A type by its name in GoogleSQL, which does not know the REST API's FLOAT. */
export function scalarKind(name: string): ScalarKind | undefined {
  const kind = name.toUpperCase() === 'FLOAT' ? undefined : canonicalType(name)
  return kind === 'RECORD' ? undefined : kind
}

export function sameType(a: SqlType, b: SqlType): boolean {
  if (a.kind === 'ARRAY') return b.kind === 'ARRAY' && sameType(a.element, b.element)
  if (a.kind === 'STRUCT') {
    return (
      b.kind === 'STRUCT' &&
      a.fields.length === b.fields.length &&
      a.fields.every((field, i) => {
        const other = b.fields[i]
        return other !== undefined && sameType(field.type, other.type) && sameName(field.name, other.name)
      })
    )
  }
  return a.kind === b.kind
}

function sameName(a: string | undefined, b: string | undefined): boolean {
  return a?.toLowerCase() === b?.toLowerCase()
}

export const NUMERIC_KINDS: readonly string[] = ['INT64', 'NUMERIC', 'BIGNUMERIC', 'FLOAT64']

export function isNumeric(type: SqlType): boolean {
  return NUMERIC_KINDS.includes(type.kind) || type.kind === 'NULL'
}

/** The types that an expression of each type takes without a CAST: conversion rules, "Coercion". */
const WIDER: Readonly<Partial<Record<string, readonly string[]>>> = {
  INT64: ['NUMERIC', 'BIGNUMERIC', 'FLOAT64'],
  NUMERIC: ['BIGNUMERIC', 'FLOAT64'],
  BIGNUMERIC: ['FLOAT64'],
  DATE: ['DATETIME'],
}
/** And those that only a literal or a parameter takes: conversion rules, "Literal coercion" and "Parameter coercion". */
const LITERAL_WIDER: Readonly<Partial<Record<string, readonly string[]>>> = {
  STRING: ['DATE', 'DATETIME', 'TIME', 'TIMESTAMP', 'BYTES', 'INTERVAL'],
  FLOAT64: ['NUMERIC', 'BIGNUMERIC'],
}

/** Whether a value may stand where `to` is wanted, without a CAST. */
export function coercible(from: Typed, to: SqlType): boolean {
  const { type } = from
  if (type.kind === 'NULL' || sameType(type, to)) return true
  if (type.kind === 'ARRAY' && to.kind === 'ARRAY') {
    return from.items?.every((item) => coercible(item, to.element)) ?? type.element.kind === 'NULL'
  }
  if (type.kind === 'STRUCT' && to.kind === 'STRUCT') {
    return (
      type.fields.length === to.fields.length &&
      type.fields.every((_field, i) => coercible(partOf(from, i), partType(to, i)))
    )
  }
  if (WIDER[type.kind]?.includes(to.kind)) return true
  return from.literal !== undefined && (LITERAL_WIDER[type.kind]?.includes(to.kind) ?? false)
}

/** A field of a struct as an expression of its own. */
export function partOf(struct: Typed, index: number): Typed {
  const item = struct.items?.[index]
  if (item !== undefined) return item
  if (struct.type.kind !== 'STRUCT') throw new Error('only a struct has parts')
  const field = struct.type.fields[index]
  if (field === undefined) throw new Error('the struct has no such part')
  return { sql: `struct_extract(${struct.sql}, '${fieldName(field, index).replaceAll("'", "''")}')`, type: field.type }
}

function partType(type: StructType, index: number): SqlType {
  return type.fields[index]?.type ?? NULL_TYPE
}

/** The type that all the values can take: conversion rules, "Supertypes". Undefined: there is none. */
export function supertype(values: readonly Typed[]): SqlType | undefined {
  const candidates: SqlType[] = []
  for (const value of values) {
    candidates.push(value.type)
    if (value.type.kind === 'ARRAY' && value.type.element.kind === 'NULL') candidates.pop()
  }
  const firm = values
    .filter((value) => value.literal === undefined && value.type.kind !== 'NULL')
    .map((value) => value.type)
  const ordered = [...firm, ...candidates.filter((type) => type.kind !== 'NULL')]
  const common = ordered.find((type) => values.every((value) => coercible(value, type)))
  if (common !== undefined) return common
  const numeric = values.every((value) => isNumeric(value.type)) ? FLOAT64 : undefined
  return ordered.length === 0 ? (values[0]?.type ?? NULL_TYPE) : numeric
}
