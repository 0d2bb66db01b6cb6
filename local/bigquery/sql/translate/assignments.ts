import { modeOf, type TableField } from '../../types.ts'
import { errorAt, type Position } from '../errors.ts'
import { coerce } from './casts.ts'
import { quote } from './literals.ts'
import { coercible, duckTypeOf, type Typed, typeOfField, typeText } from './types.ts'

/** What a REQUIRED column says to a NULL. */
export function requiredMessage(field: TableField): string {
  return `Required field ${field.name} cannot be null`
}

/**
 * A value on its way into a column: coerced; an absent array is empty; a REQUIRED column fails on NULL, unless the
 * caller checks that by itself (`lenient`).
 */
export function assign(value: Typed, field: TableField, at: Position, lenient = false): string {
  const type = typeOfField(field)
  if (!coercible(value, type)) {
    const target = `column ${field.name}, which has type ${typeText(type)}`
    throw errorAt(`Value has type ${typeText(value.type)} which cannot be inserted into ${target}`, at)
  }
  const { sql } = coerce(value, type, at)
  const mode = modeOf(field)
  if (mode === 'REPEATED') return `coalesce(${sql}, CAST([] AS ${duckTypeOf(type)}))`
  if (mode !== 'REQUIRED' || lenient || (value.literal !== undefined && value.literal.kind !== 'NULL')) return sql
  return `coalesce(${sql}, CAST(error(${quote(requiredMessage(field))}) AS ${duckTypeOf(type)}))`
}
