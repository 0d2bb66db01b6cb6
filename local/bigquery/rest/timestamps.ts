import type { Cell, ResultRow } from '../sql/index.ts'
import { canonicalType, modeOf, type TableField } from '../types.ts'

/** How an answer writes TIMESTAMP: seconds with a fraction (the default), or whole microseconds. */
export type TimestampForm = 'seconds' | 'micros' | 'iso'

/** Rows as they are kept (microseconds) in the form that a request asks for. */
export function withTimestamps(
  rows: readonly ResultRow[],
  schema: readonly TableField[],
  form: TimestampForm,
): readonly ResultRow[] {
  if (form === 'micros' || !schema.some(hasTimestamp)) return rows
  return rows.map(({ f }) => ({ f: members(f, schema, form) }))
}

function hasTimestamp(field: TableField): boolean {
  return canonicalType(field.type) === 'TIMESTAMP' || (field.fields ?? []).some(hasTimestamp)
}

function members(cells: readonly { v: Cell }[], schema: readonly TableField[], form: TimestampForm): { v: Cell }[] {
  return cells.map(({ v }, at) => {
    const field = schema[at]
    if (field === undefined || v === null || !hasTimestamp(field)) return { v }
    if (modeOf(field) !== 'REPEATED') return { v: one(v, field, form) }
    return { v: Array.isArray(v) ? v.map((element) => ({ v: one(element.v, field, form) })) : v }
  })
}

function one(value: Cell, field: TableField, form: TimestampForm): Cell {
  if (value === null) return null
  if (typeof value === 'string') return form === 'iso' ? iso(value) : seconds(value)
  return 'f' in value ? { f: members(value.f, field.fields ?? [], form) } : value
}

/** '1700000000123456' as '1700000000.123456'. */
function seconds(micros: string): string {
  const value = BigInt(micros)
  const absolute = value < 0n ? -value : value
  const fraction = (absolute % 1_000_000n).toString().padStart(6, '0').replace(/0+$/, '') || '0'
  return `${value < 0n ? '-' : ''}${absolute / 1_000_000n}.${fraction}`
}

function iso(micros: string): string {
  const value = BigInt(micros)
  const fraction = ((value % 1_000_000n) + 1_000_000n) % 1_000_000n
  const whole = new Date(Number((value - fraction) / 1000n)).toISOString().slice(0, 19)
  return `${whole}.${fraction.toString().padStart(6, '0')}Z`
}
