import type { QueryParameter, ResolvedTable, TableName, TranslationContext } from '../contract.ts'
import { errorAt, type Position, QueryError } from '../errors.ts'
import { parameterValue } from './parameters.ts'
import type { Typed } from './types.ts'

/** What belongs to one statement while it is translated: its context, the tables it touched, fresh names. */
export class Environment {
  readonly context: TranslationContext
  /** The time of the statement, microseconds since the epoch. */
  readonly nowMicros: number
  readonly #tables = new Map<string, TableName>()
  readonly #resolved = new Map<string, ResolvedTable | undefined>()
  #names = 0

  constructor(context: TranslationContext) {
    this.context = context
    this.nowMicros = (context.nowMs ?? Date.now()) * 1000
  }

  /** A name that no other part of the statement has. */
  fresh(prefix: string): string {
    return `${prefix}${++this.#names}`
  }

  /** Completes a path of one to three parts. A view's own names know no default dataset. */
  tableName(path: readonly string[], insideView: boolean): TableName {
    const [first = '', second = '', third = ''] = path
    const { project, defaultDataset } = this.context
    if (path.length === 3) return { project: first, dataset: second, table: third }
    if (path.length === 2) return { project, dataset: first, table: second }
    if (path.length === 1 && defaultDataset !== undefined && !insideView) return { ...defaultDataset, table: first }
    if (path.length === 1) {
      throw new QueryError(`Table "${first}" must be qualified with a dataset (e.g. dataset.table).`, 'invalid')
    }
    throw new QueryError(`Invalid table-valued name: ${path.join('.')}`)
  }

  resolve(name: TableName): ResolvedTable {
    const key = `${name.project}.${name.dataset}.${name.table}`
    const { context } = this
    if (!this.#resolved.has(key)) this.#resolved.set(key, context.resolveTable(name.project, name.dataset, name.table))
    const resolved = this.#resolved.get(key)
    if (resolved === undefined) {
      const dataset = `${name.project}:${name.dataset}`
      const noDataset = context.listTables !== undefined && context.listTables(name.project, name.dataset) === undefined
      const what = noDataset ? `Dataset ${dataset}` : `Table ${dataset}.${name.table}`
      throw new QueryError(`Not found: ${what} was not found in location ${context.location ?? 'US'}`, 'notFound')
    }
    if (resolved.kind === 'table') this.#tables.set(key, name)
    return resolved
  }

  /** The stored tables that the statement touches. */
  get tables(): TableName[] {
    return [...this.#tables.values()]
  }

  parameter(expr: { name?: string; index?: number; at: Position }): Typed {
    const found = expr.name === undefined ? this.#positional(expr.index ?? 0, expr.at) : this.#named(expr.name, expr.at)
    return parameterValue(found, expr.at)
  }

  #named(name: string, at: Position): QueryParameter {
    const { parameters = [], parameterMode } = this.context
    const found = parameters.find((parameter) => parameter.name?.toLowerCase() === name.toLowerCase())
    if (found === undefined || parameterMode === 'POSITIONAL') throw errorAt(`Query parameter '${name}' not found`, at)
    return found
  }

  #positional(index: number, at: Position): QueryParameter {
    const found = this.context.parameters?.[index]
    if (found === undefined || this.context.parameterMode === 'NAMED') {
      const supplied = this.context.parameterMode === 'NAMED' ? 0 : (this.context.parameters?.length ?? 0)
      throw errorAt(`Query parameter number ${index + 1} is not defined (${supplied} provided)`, at)
    }
    return found
  }
}
