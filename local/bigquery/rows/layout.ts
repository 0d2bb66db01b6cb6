import { Column, type Physical } from '../parquet/column.ts'
import type { Logical, SchemaNode } from '../parquet/file.ts'
import type { Convert } from './convert.ts'
import { limitOf } from './limits.ts'
import { type BigQueryType, canonicalType, modeOf, type TableField } from '../types.ts'

/** A field of a table with its place among the columns of a batch. */
export interface LayoutNode {
  readonly name: string
  readonly type: BigQueryType
  readonly repeated: boolean
  readonly required: boolean
  /** Definition level of a value: one more for each field on the way, because all of them may be absent. */
  readonly definition: number
  /** Repetition level of the second and later elements. */
  readonly repetition: number
  readonly children: readonly LayoutNode[]
  /** Every leaf column at or below this node. */
  readonly columns: readonly Column[]
  /** What a parameterized type, such as STRING(10), asks of a value. */
  readonly limit: Convert | undefined
}

const PHYSICAL: Readonly<Record<Exclude<BigQueryType, 'RECORD'>, readonly [Physical, Logical?]>> = {
  STRING: ['bytes', 'utf8'],
  BYTES: ['bytes'],
  INT64: ['int64'],
  FLOAT64: ['double'],
  BOOL: ['bool'],
  NUMERIC: ['fixed16', 'decimal'],
  BIGNUMERIC: ['bytes', 'utf8'],
  TIMESTAMP: ['int64', 'timestamp'],
  DATETIME: ['int64', 'timestamp'],
  DATE: ['int32', 'date'],
  TIME: ['int64', 'time'],
  JSON: ['bytes', 'utf8'],
  INTERVAL: ['bytes', 'utf8'],
  GEOGRAPHY: ['bytes', 'utf8'],
}

/** Lays the fields of a table out as columns. Throws when a type is unknown: tables are checked when they are made. */
export function layoutOf(fields: readonly TableField[], definition = 0, repetition = 0): LayoutNode[] {
  return fields.map((field) => {
    const type = canonicalType(field.type)
    if (type === undefined) throw new Error(`no layout for ${field.type} (${field.name})`)
    const repeated = modeOf(field) === 'REPEATED'
    const own = { definition: definition + 1, repetition: repetition + (repeated ? 1 : 0) }
    const children = type === 'RECORD' ? layoutOf(field.fields ?? [], own.definition, own.repetition) : []
    const columns =
      type === 'RECORD'
        ? children.flatMap((child) => child.columns)
        : [new Column(PHYSICAL[type][0], own.definition, own.repetition)]
    const required = modeOf(field) === 'REQUIRED'
    return {
      name: field.name,
      type,
      repeated,
      required,
      ...own,
      children,
      columns,
      limit: limitOf(field, type),
    }
  })
}

/** The Parquet schema of a layout. */
export function parquetSchema(nodes: readonly LayoutNode[]): SchemaNode[] {
  return nodes.map((node) => {
    if (!node.repeated) return element(node, node.name, 'optional')
    const inner: SchemaNode = { name: 'list', repetition: 'repeated', children: [element(node, 'element', 'required')] }
    return { name: node.name, repetition: 'required' as const, list: true, children: [inner] }
  })
}

function element(node: LayoutNode, name: string, repetition: 'optional' | 'required'): SchemaNode {
  if (node.type === 'RECORD') return { name, repetition, children: parquetSchema(node.children) }
  const logical = PHYSICAL[node.type][1]
  const column = node.columns[0] as Column
  return { name, repetition, column, ...(logical && { logical }) }
}
