import { modeOf, type TableField } from '../../types.ts'
import { errorAt, type Position } from '../errors.ts'
import { coerce } from './casts.ts'
import { quote } from './literals.ts'
import { coercible, duckTypeOf, type Typed, typeOfField, typeText } from './types.ts'

/** A value on its way into a column: coerced; an absent array is empty; a REQUIRED column fails on NULL. */
export function assign(value: Typed, field: TableField, at: Position): string {
  const type = typeOfField(field)
  if (!coercible(value, type)) {
    throw errorAt(
      `Value has type ${typeText(value.type)} which cannot be inserted into column ${field.name}, which has type ${typeText(type)}`,
      at,
    )
  }
  const { sql } = coerce(value, type, at)
  switch (modeOf(field)) {
    case 'REPEATED':
      return `coalesce(${sql}, CAST([] AS ${duckTypeOf(type)}))`
    case 'REQUIRED':
      return `coalesce(${sql}, CAST(error(${quote(`Required field ${field.name} cannot be null`)}) AS ${duckTypeOf(type)}))`
    default:
      return sql
  }
}
