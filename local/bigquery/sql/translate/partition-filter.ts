import type { ResolvedTable, TableName } from '../contract.ts'
import { QueryError } from '../errors.ts'
import type { Expr, From } from '../parse/ast.ts'
import type { Range } from './scope.ts'

/** The range, with what a table of `requirePartitionFilter` wants of every statement that reads it. */
export function withRequiredFilter(range: Range, name: TableName, resolved: ResolvedTable & { kind: 'table' }): Range {
  const { requiredFilter: columns } = resolved
  return columns
    ? { ...range, requiredFilter: { table: `${name.project}.${name.dataset}.${name.table}`, columns } }
    : range
}

/**
 * Refuses tables whose partitioning column is in no condition that every row must meet. What stands in a condition of OR must
 * name it in each arm; `c IS NULL OR c IS NOT NULL` is known to pass (dbt's BigQuery adapter says so for the same reason).
 */
export function checkRequiredFilters(ranges: readonly Range[], conditions: readonly (Expr | undefined)[]): void {
  for (const { alias, requiredFilter } of ranges) {
    if (!requiredFilter) continue
    const { table, columns } = requiredFilter
    if (conditions.some((condition) => condition && filters(condition, alias, columns))) continue
    const names = columns.map((column) => `'${column}'`).join(', ')
    const message = `Cannot query over table '${table}' without a filter over column(s) ${names}`
    throw new QueryError(`${message} that can be used for partition elimination`)
  }
}

function filters(condition: Expr, alias: string | undefined, columns: readonly string[]): boolean {
  if (condition.kind !== 'binary') return mentions(condition, alias, columns)
  const sides = [condition.left, condition.right].map((side) => () => filters(side, alias, columns))
  if (condition.op === 'AND') return sides.some((side) => side())
  return condition.op === 'OR' ? sides.every((side) => side()) : mentions(condition, alias, columns)
}

/** Anywhere in the tree: as itself, or as a field of its table. */
function mentions(node: unknown, alias: string | undefined, columns: readonly string[]): boolean {
  if (node === null || typeof node !== 'object') return false
  const { kind, name, base } = node as { kind?: unknown; name?: unknown; base?: Expr }
  const isColumn = typeof name === 'string' && columns.some((column) => column.toLowerCase() === name.toLowerCase())
  const isOwn = kind === 'name' || (kind === 'field' && base?.kind === 'name' && base.name === alias)
  return (isColumn && isOwn) || Object.values(node).some((part) => mentions(part, alias, columns))
}

/** The conditions of a FROM clause's joins. */
export function joinConditions(from: From | undefined): (Expr | undefined)[] {
  return from?.kind === 'join' ? [from.on, ...joinConditions(from.left), ...joinConditions(from.right)] : []
}
