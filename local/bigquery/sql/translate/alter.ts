import type { TranslatedAlter } from '../contract.ts'
import { QueryError } from '../errors.ts'
import type { Statement, TypeName } from '../parse/ast.ts'
import { restType, type TableField } from '../../types.ts'
import type { Environment } from './environment.ts'
import { coercible, sameType, typeOfField, typeOfName, typeText } from './types.ts'

type AlterColumn = Extract<Statement, { kind: 'alterColumn' }>
type Limits = Pick<TableField, 'maxLength' | 'precision' | 'scale'>

/**
 * ALTER COLUMN SET DATA TYPE: another type that takes all values of the former one, or wider limits.
 * https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language#alter_column_set_data_type_statement
 */
export function alterColumn({ target: { path }, column, type }: AlterColumn, env: Environment): TranslatedAlter {
  const target = env.tableName(path, false)
  const found = env.resolve(target)
  if (found.kind === 'view') throw new QueryError(`${target.project}:${target.dataset}.${target.table} is not a TABLE`)
  const field = found.fields.find(({ name }) => name.toLowerCase() === column.toLowerCase())
  if (!field) throw new QueryError(`Column not found: ${column}`)
  const [from, to] = [typeOfField(field), typeOfName(type)]
  const limits = limitsOf(type, to.kind)
  const takes = sameType(from, to) || coercible({ sql: '', type: from }, to)
  if (to.kind === 'ARRAY' || to.kind === 'STRUCT' || to.kind === 'NULL' || !takes || !isWider(limits, field)) {
    const reason = `requires that the existing column type (${typeText(from)}) is assignable to the new type (${typeText(to)})`
    throw new QueryError(`ALTER TABLE ALTER COLUMN SET DATA TYPE ${reason}`)
  }
  const { maxLength: _, precision: __, scale: ___, ...unlimited } = field
  const widened = { ...unlimited, type: restType(to.kind), ...limits }
  const fields = found.fields.map((other) => (other === field ? widened : other))
  return { statementType: 'ALTER_TABLE', target, fields, tables: env.tables }
}

function limitsOf(type: TypeName, kind: string): Limits {
  const [first, second] = (type.kind === 'simple' ? type.limits : undefined) ?? []
  if (first === undefined) return {}
  if (kind === 'STRING' || kind === 'BYTES') return { maxLength: first }
  return { precision: first, ...(second !== undefined && { scale: second }) }
}

function isWider(to: Limits, from: Limits): boolean {
  const whole = ({ precision, scale = '0' }: Limits) => Number(precision ?? Infinity) - Number(scale)
  const decimals = ({ precision, scale = '0' }: Limits) => (precision === undefined ? Infinity : Number(scale))
  return (
    Number(to.maxLength ?? Infinity) >= Number(from.maxLength ?? Infinity) &&
    whole(to) >= whole(from) &&
    decimals(to) >= decimals(from)
  )
}
