import type { OrderItem } from '../parse/ast.ts'
import { requireComparable } from './operators.ts'
import type { Typed } from './types.ts'

/** One item of ORDER BY. NULL is the smallest value in BigQuery; `text` stands for the expression, when another does. */
export function orderSql(value: Typed, item: OrderItem, text = value.sql): string {
  requireComparable(value.type, false, item.at)
  const nulls = item.nulls ?? (item.descending ? 'LAST' : 'FIRST')
  return `${text} ${item.descending ? 'DESC' : 'ASC'} NULLS ${nulls}`
}
