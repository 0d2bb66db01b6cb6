import { modeOf, PARTITION_TIME_COLUMN, quoteIdentifier, type TableField } from '../../types.ts'
import type { Guard, TableName, TranslatedDml } from '../contract.ts'
import { errorAt, type Position, QueryError } from '../errors.ts'
import type { Assignment, Expr, InsertRows, MergeClause, Statement, TablePath } from '../parse/ast.ts'
import { parseExpressionText } from '../parse/statements.ts'
import { type Clause, type Context, newGrouping, type QueryContext, type TranslatedQuery } from './context.ts'
import type { Environment } from './environment.ts'
import { tableRange, translateFrom, type TranslatedFrom } from './from.ts'
import { NOTHING_AROUND, translator } from './queries.ts'
import { checkRequiredFilters, withRequiredFilter } from './partition-filter.ts'
import { EMPTY_SCOPE, type Range, type Scope } from './scope.ts'
import { assign, requiredMessage } from './assignments.ts'
import { duckTypeOf, type Typed, typeOfField, typeText } from './types.ts'

/** DML: https://cloud.google.com/bigquery/docs/reference/standard-sql/dml-syntax */
type Dml = Extract<Statement, { kind: 'insert' | 'update' | 'delete' | 'merge' | 'truncate' }>

const WHERE: Clause = { name: 'WHERE clause', aggregates: false, windows: false }
const SET: Clause = { name: 'UPDATE SET clause', aggregates: false, windows: false }
const VALUES: Clause = { name: 'VALUES clause', aggregates: false, windows: false }
const MERGE_ON: Clause = { name: 'MERGE ON clause', aggregates: false, windows: false }
const MANY_SOURCES = 'UPDATE/MERGE must match at most one source row for each target row'

/** Translates a statement that changes rows. */
export function translateDml(statement: Dml, env: Environment): Omit<TranslatedDml, 'tables'> {
  const target = targetOf(statement.target, env, 'alias' in statement ? statement.alias : undefined)
  const dml = new DmlTranslation(env, target)
  switch (statement.kind) {
    case 'insert':
      return { statementType: 'INSERT', target: target.name, sql: dml.insert(statement), guards: [] }
    case 'update':
      return { statementType: 'UPDATE', target: target.name, ...dml.update(statement) }
    case 'delete':
      return { statementType: 'DELETE', target: target.name, sql: dml.delete(statement.where), guards: [] }
    case 'truncate':
      return { statementType: 'TRUNCATE_TABLE', target: target.name, sql: `DELETE FROM ${target.duckName}`, guards: [] }
    case 'merge':
      return { statementType: 'MERGE', target: target.name, ...dml.merge(statement) }
  }
}

interface Target {
  name: TableName
  duckName: string
  duckAlias: string
  fields: readonly TableField[]
  partitionTime: boolean
  range: Range
}

function targetOf(path: TablePath, env: Environment, alias: string | undefined): Target {
  const name = env.tableName(path.path, false)
  const resolved = env.resolve(name)
  const id = `${name.project}:${name.dataset}.${name.table}`
  if (resolved.kind === 'view') throw new QueryError(`Cannot change the rows of ${id}: it is a view`)
  const duckAlias = env.fresh('t')
  const partitionTime = resolved.partitionTime ?? false
  const columns = tableRange(duckAlias, alias ?? name.table, resolved.fields, partitionTime)
  const range = withRequiredFilter(columns, name, resolved)
  return { name, duckName: resolved.duckName, duckAlias, fields: resolved.fields, partitionTime, range }
}

class DmlTranslation {
  readonly #env: Environment
  readonly #target: Target
  readonly #query: QueryContext
  /** In a MERGE, which computes values for rows that it then leaves alone, the values that a guard has to look at. */
  #nullable: { sql: string; field: TableField }[] | undefined

  constructor(env: Environment, target: Target) {
    this.#env = env
    this.#target = target
    this.#query = { env, surroundings: NOTHING_AROUND }
  }

  #context(scope: Scope, clause: Clause): Context {
    return { env: this.#env, scope, clause, grouping: newGrouping(), windows: new Map(), surroundings: NOTHING_AROUND }
  }

  #expression(expr: Expr, scope: Scope, clause: Clause): Typed {
    return translator.expression(expr, this.#context(scope, clause))
  }

  #condition(expr: Expr, scope: Scope, clause: Clause): string {
    const { sql, type } = this.#expression(expr, scope, clause)
    if (type.kind === 'BOOL' || type.kind === 'NULL') return sql
    throw errorAt(`${clause.name} should return type BOOL, but returns ${typeText(type)}`, expr.at)
  }

  get #own(): Scope {
    return { ranges: [this.#target.range], merged: [] }
  }

  delete(where: Expr): string {
    const { duckName, duckAlias } = this.#target
    checkRequiredFilters([this.#target.range], [where])
    return `DELETE FROM ${duckName} AS ${duckAlias} WHERE ${this.#condition(where, this.#own, WHERE)}`
  }

  insert(statement: Dml & { kind: 'insert' }): string {
    const fields = this.#listed(statement.rows)
    const head = `INSERT INTO ${this.#target.duckName} (${this.#columns()})`
    if (statement.query === undefined) {
      const rows = statement.rows.values.map((row) => `(${this.#row(row, fields, EMPTY_SCOPE, statement.at)})`)
      return `${head} VALUES ${rows.join(', ')}`
    }
    const query = translator.query(statement.query, this.#query)
    const alias = this.#env.fresh('s')
    const values = this.#fromQuery(query, fields, alias, statement.at)
    return `${head} SELECT ${values} FROM (${query.sql}) AS ${alias}`
  }

  /** The columns that an INSERT names, or all of them. */
  #listed(rows: InsertRows): TableField[] {
    const { fields, name } = this.#target
    if (rows.columns === undefined) return [...fields]
    const seen = new Set<string>()
    return rows.columns.map((column) => {
      const field = fields.find((candidate) => candidate.name.toLowerCase() === column.name.toLowerCase())
      if (field === undefined)
        throw errorAt(
          `Column ${column.name} is not present in table ${name.project}.${name.dataset}.${name.table}`,
          column.at,
        )
      if (seen.has(field.name)) throw errorAt(`INSERT has columns with duplicate name: ${column.name}`, column.at)
      seen.add(field.name)
      return field
    })
  }

  #columns(): string {
    const names = this.#target.fields.map((field) => quoteIdentifier(field.name))
    return (this.#target.partitionTime ? [...names, quoteIdentifier(PARTITION_TIME_COLUMN)] : names).join(', ')
  }

  #row(values: readonly Expr[], listed: readonly TableField[], scope: Scope, at: Position): string {
    if (values.length !== listed.length) {
      throw errorAt(
        `Inserted row has wrong column count; Has ${values.length}, expected ${listed.length}`,
        values[0]?.at ?? at,
      )
    }
    return this.#complete(listed, (field, i) => {
      const value = values[i]
      if (value === undefined || value.kind === 'default') return undefined
      return this.#stored(this.#expression(value, scope, VALUES), field, value.at)
    })
  }

  #fromQuery(query: TranslatedQuery, listed: readonly TableField[], alias: string, at: Position): string {
    if (query.columns.length !== listed.length) {
      throw errorAt(`Inserted row has wrong column count; Has ${query.columns.length}, expected ${listed.length}`, at)
    }
    return this.#complete(listed, (field, i) => {
      const column = query.columns[i]
      return column && this.#stored({ ...column, sql: `${alias}.${column.sql}` }, field, at)
    })
  }

  /** A value for each column of the table: what is not given is the column's default, an empty array, or NULL. */
  #complete(listed: readonly TableField[], given: (field: TableField, index: number) => string | undefined): string {
    const values = this.#target.fields.map((field) => {
      const index = listed.indexOf(field)
      return (index >= 0 ? given(field, index) : undefined) ?? this.#default(field)
    })
    const day = `make_timestamptz(${this.#env.nowMicros - (this.#env.nowMicros % 86_400_000_000)})`
    return (this.#target.partitionTime ? [...values, day] : values).join(', ')
  }

  #default(field: TableField): string {
    const at = { line: 1, column: 1 }
    const { defaultValueExpression: text } = field
    if (text === undefined) return this.#stored({ sql: 'NULL', type: { kind: 'NULL' } }, field, at)
    return this.#stored(this.#expression(parseExpressionText(text), EMPTY_SCOPE, VALUES), field, at)
  }

  /** A value as a column keeps it: of its type, never NULL where NULL is not allowed. */
  #stored(value: Typed, field: TableField, at: Position): string {
    if (this.#nullable === undefined || modeOf(field) !== 'REQUIRED') return assign(value, field, at)
    const sql = assign(value, field, at, true)
    this.#nullable.push({ sql, field })
    return sql
  }

  update(statement: Dml & { kind: 'update' }): { sql: string; guards: Guard[] } {
    const { duckName, duckAlias } = this.#target
    const from = statement.from && translateFrom(statement.from, this.#query, translator)
    const scope = this.#with(from)
    checkRequiredFilters(scope.ranges, [statement.where])
    const where = this.#condition(statement.where, scope, WHERE)
    const set = this.#assignments(statement.set, scope)
    const head = `UPDATE ${duckName} AS ${duckAlias} SET ${set}`
    if (from === undefined) return { sql: `${head} WHERE ${where}`, guards: [] }
    const guard = `SELECT 1 FROM ${duckName} AS ${duckAlias}, ${from.sql} WHERE ${where}`
    return { sql: `${head} FROM ${from.sql} WHERE ${where}`, guards: [manySources(guard, duckAlias)] }
  }

  #with(from: TranslatedFrom | undefined): Scope {
    return { ranges: [this.#target.range, ...(from?.ranges ?? [])], merged: [] }
  }

  #assignments(set: readonly Assignment[], scope: Scope): string {
    const columns = new Map<TableField, { path: string[]; value: Typed; at: Position }[]>()
    for (const { path, value, at } of set) {
      const [first, ...rest] = path
      const field = this.#target.fields.find((candidate) => candidate.name.toLowerCase() === first?.name.toLowerCase())
      if (field === undefined) throw errorAt(`Unrecognized name: ${first?.name}`, at)
      const typed =
        value.kind === 'default'
          ? { sql: this.#default(field), type: typeOfField(field) }
          : this.#expression(value, scope, SET)
      const parts = columns.get(field) ?? []
      const steps = rest.map((step) => step.name)
      if (parts.some((part) => overlaps(part.path, steps)))
        throw errorAt(`Update item ${path.map((step) => step.name).join('.')} assigned more than once`, at)
      columns.set(field, [...parts, { path: steps, value: typed, at }])
    }
    return [...columns]
      .map(([field, parts]) => `${quoteIdentifier(field.name)} = ${this.#newValue(field, parts)}`)
      .join(', ')
  }

  #newValue(field: TableField, parts: readonly { path: string[]; value: Typed; at: Position }[]): string {
    let current = `${this.#target.duckAlias}.${quoteIdentifier(field.name)}`
    for (const { path, value, at } of parts) {
      current = path.length === 0 ? this.#stored(value, field, at) : withMember(current, field, path, value, at)
    }
    return current
  }

  merge(statement: Dml & { kind: 'merge' }): { sql: string; guards: Guard[] } {
    const { duckName, duckAlias } = this.#target
    const source = translateFrom(statement.source, this.#query, translator)
    const both = this.#with(source)
    checkRequiredFilters(both.ranges, [statement.on])
    const on = this.#condition(statement.on, both, MERGE_ON)
    const rows: Readonly<Record<MergeClause['match'], string>> = {
      MATCHED: `FROM ${duckName} AS ${duckAlias} JOIN ${source.sql} ON ${on} WHERE TRUE`,
      'NOT MATCHED': `FROM ${source.sql} WHERE NOT EXISTS (SELECT 1 FROM ${duckName} AS ${duckAlias} WHERE ${on})`,
      'NOT MATCHED BY SOURCE': `FROM ${duckName} AS ${duckAlias} WHERE NOT EXISTS (SELECT 1 FROM ${source.sql} WHERE ${on})`,
    }
    const matched = statement.clauses.some((clause) => clause.match === 'MATCHED')
    const guards = matched ? [manySources(`SELECT 1 ${rows.MATCHED}`, duckAlias)] : []
    const clauses = statement.clauses.map((clause) => {
      const { text, condition, nullable } = this.#mergeClause(clause, source, both)
      for (const { sql, field } of nullable) {
        guards.push({
          sql: `SELECT 1 ${rows[clause.match]}${condition} AND ${sql} IS NULL LIMIT 1`,
          message: requiredMessage(field),
        })
      }
      return text
    })
    const head = `MERGE INTO ${duckName} AS ${duckAlias} USING ${source.sql} ON ${on === 'FALSE' ? never(duckAlias, source) : on}`
    return { sql: `${head} ${clauses.join(' ')} RETURNING merge_action`, guards }
  }

  #mergeClause(clause: MergeClause, source: TranslatedFrom, both: Scope): MergeText {
    const { action, at, match } = clause
    const scope =
      match === 'MATCHED' ? both : match === 'NOT MATCHED' ? { ranges: source.ranges, merged: [] } : this.#own
    const condition = clause.condition === undefined ? '' : ` AND ${this.#condition(clause.condition, scope, WHERE)}`
    if (action.kind === 'insert' && match !== 'NOT MATCHED')
      throw errorAt('INSERT is only allowed in a NOT MATCHED clause', at)
    if (action.kind !== 'insert' && match === 'NOT MATCHED')
      throw errorAt('Only INSERT is allowed in a NOT MATCHED clause', at)
    this.#nullable = []
    const text = `WHEN ${match}${condition} THEN ${this.#mergeAction(action, source, scope, at)}`
    return { text, condition, nullable: this.#nullable }
  }

  #mergeAction(action: MergeClause['action'], source: TranslatedFrom, scope: Scope, at: Position): string {
    switch (action.kind) {
      case 'delete':
        return 'DELETE'
      case 'update':
        return `UPDATE SET ${this.#assignments(action.set, scope)}`
      case 'insert':
        return `INSERT (${this.#columns()}) VALUES (${this.#inserted(action.rows, source, scope, at)})`
    }
  }

  #inserted(rows: InsertRows, source: TranslatedFrom, scope: Scope, at: Position): string {
    const listed = this.#listed(rows)
    if (rows.row !== true) return this.#row(rows.values[0] ?? [], listed, scope, at)
    const columns = source.ranges.flatMap((range) => range.columns.filter((column) => column.hidden !== true))
    if (columns.length !== listed.length) {
      throw errorAt(`Inserted row has wrong column count; Has ${columns.length}, expected ${listed.length}`, at)
    }
    return this.#complete(listed, (field, i) => {
      const column = columns[i]
      return column && this.#stored(column, field, at)
    })
  }
}

function overlaps(a: readonly string[], b: readonly string[]): boolean {
  const shorter = Math.min(a.length, b.length)
  return a.slice(0, shorter).every((step, i) => step.toLowerCase() === b[i]?.toLowerCase())
}

/** A struct in which one member, however deep, has another value. */
function withMember(current: string, field: TableField, path: readonly string[], value: Typed, at: Position): string {
  const [name = '', ...rest] = path
  const member = (field.fields ?? []).find((candidate) => candidate.name.toLowerCase() === name.toLowerCase())
  if (member === undefined || modeOf(field) === 'REPEATED')
    throw errorAt(`Field name ${name} does not exist in ${typeText(typeOfField(field))}`, at)
  const inner = `struct_extract(${current}, '${member.name.replaceAll("'", "''")}')`
  const next = rest.length === 0 ? assign(value, member, at) : withMember(inner, member, rest, value, at)
  const whole = coalesceStruct(current, field)
  return `struct_update(${whole}, ${quoteIdentifier(member.name)} := ${next})`
}

/** A NULL record that gets a member becomes a record whose other members are NULL. */
function coalesceStruct(current: string, field: TableField): string {
  const members = (field.fields ?? []).map((member) => {
    const duck = duckTypeOf(typeOfField(member))
    return `${quoteIdentifier(member.name)} := ${modeOf(member) === 'REPEATED' ? `CAST([] AS ${duck})` : `CAST(NULL AS ${duck})`}`
  })
  return `coalesce(${current}, struct_pack(${members.join(', ')}))`
}

/**
 * ON FALSE, the way to replace rows by others in one statement, would be a nested loop in DuckDB. An equality that holds
 * for no rows makes it a hash join: row ids begin at 0.
 */
function never(duckAlias: string, source: TranslatedFrom): string {
  const column = source.ranges[0]?.columns[0]
  return column === undefined ? 'FALSE' : `${duckAlias}.rowid = -1 - CAST(hash(${column.sql}) % 2 AS BIGINT)`
}

interface MergeText {
  text: string
  condition: string
  nullable: readonly { sql: string; field: TableField }[]
}

function manySources(select: string, duckAlias: string): Guard {
  return { sql: `${select} GROUP BY ${duckAlias}.rowid HAVING count(*) > 1 LIMIT 1`, message: MANY_SOURCES }
}
