import type { TableField } from '../../types.ts'
import { modeOf } from '../../types.ts'
import { errorAt, type Position, QueryError } from '../errors.ts'
import type { ListedTable } from '../contract.ts'
import { parseStatement } from '../parse/statements.ts'
import type { Translator } from './context.ts'
import { Environment } from './environment.ts'
import { quote } from './literals.ts'
import type { Column } from './scope.ts'
import { duckTypeOf, fieldOfType, scalar, type ScalarKind, typeOfField, typeText } from './types.ts'

/** A line of a view of INFORMATION_SCHEMA, by its columns. */
type Line = Readonly<Record<string, string | number | null>>
type View = { columns: readonly [string, ScalarKind][]; lines: (table: ListedTable, env: Dataset) => Line[] }

interface Dataset {
  project: string
  dataset: string
  env: Environment
  translator: Translator
}

/** https://cloud.google.com/bigquery/docs/information-schema-columns and -tables: what is read in practice. */
const VIEWS: Readonly<Record<string, View>> = {
  TABLES: {
    columns: [
      ['table_catalog', 'STRING'],
      ['table_schema', 'STRING'],
      ['table_name', 'STRING'],
      ['table_type', 'STRING'],
      ['is_insertable_into', 'STRING'],
      ['is_typed', 'STRING'],
      ['creation_time', 'TIMESTAMP'],
    ],
    lines: (table, { project, dataset }) => [
      {
        table_catalog: project,
        table_schema: dataset,
        table_name: table.table,
        table_type: table.type,
        is_insertable_into: table.type === 'VIEW' ? 'NO' : 'YES',
        is_typed: 'NO',
        creation_time: table.createdMs === undefined ? null : new Date(table.createdMs).toISOString(),
      },
    ],
  },
  COLUMNS: {
    columns: [
      ['table_catalog', 'STRING'],
      ['table_schema', 'STRING'],
      ['table_name', 'STRING'],
      ['column_name', 'STRING'],
      ['ordinal_position', 'INT64'],
      ['is_nullable', 'STRING'],
      ['data_type', 'STRING'],
      ['is_generated', 'STRING'],
      ['is_hidden', 'STRING'],
      ['is_system_defined', 'STRING'],
      ['is_partitioning_column', 'STRING'],
      ['clustering_ordinal_position', 'INT64'],
      ['column_default', 'STRING'],
    ],
    lines: (table, place) => fieldsOf(table, place).map((field, i) => columnLine(table, place, field, i)),
  },
  COLUMN_FIELD_PATHS: {
    columns: [
      ['table_catalog', 'STRING'],
      ['table_schema', 'STRING'],
      ['table_name', 'STRING'],
      ['column_name', 'STRING'],
      ['field_path', 'STRING'],
      ['data_type', 'STRING'],
      ['description', 'STRING'],
    ],
    lines: (table, place) =>
      fieldsOf(table, place).flatMap((field) => pathLines(table, place, field.name, field.name, field)),
  },
}

/** The relation for `[project.]dataset.INFORMATION_SCHEMA.view`, as a list of values. */
export function informationSchema(
  path: readonly string[],
  env: Environment,
  at: Position,
  translator: Translator,
): { sql: string; columns: Column[] } {
  const view = VIEWS[(path.at(-1) ?? '').toUpperCase()]
  const place = { ...datasetOf(path, env, at), translator }
  if (view === undefined) throw errorAt(`Not supported by the local BigQuery: INFORMATION_SCHEMA.${path.at(-1)}`, at)
  const tables = env.context.listTables?.(place.project, place.dataset)
  if (tables === undefined) {
    const text = `${place.project}:${place.dataset}`
    throw new QueryError(
      `Not found: Dataset ${text} was not found in location ${env.context.location ?? 'US'}`,
      'notFound',
    )
  }
  const lines = tables.flatMap((table) => view.lines(table, place))
  const rows = lines.map(
    (line) => `(${view.columns.map(([name, kind]) => valueSql(line[name] ?? null, kind)).join(', ')})`,
  )
  const names = view.columns.map(([name]) => `"${name}"`).join(', ')
  const nothing = `(${view.columns.map(([, kind]) => valueSql(null, kind)).join(', ')})`
  const values = rows.length > 0 ? `VALUES ${rows.join(', ')}` : `SELECT * FROM (VALUES ${nothing}) WHERE FALSE`
  const columns = view.columns.map(([name, kind]) => ({ name, sql: `"${name}"`, type: scalar(kind) }))
  return { sql: `(SELECT * FROM (${values}) AS v(${names}))`, columns }
}

function datasetOf(path: readonly string[], env: Environment, at: Position): Omit<Dataset, 'translator'> {
  const { project, defaultDataset } = env.context
  const before = path.slice(0, -2)
  if (before.length === 2) return { project: before[0] ?? '', dataset: before[1] ?? '', env }
  if (before.length === 1) return { project, dataset: before[0] ?? '', env }
  if (before.length === 0 && defaultDataset !== undefined) return { ...defaultDataset, env }
  throw errorAt('INFORMATION_SCHEMA must be qualified with a dataset', at)
}

function valueSql(value: string | number | null, kind: ScalarKind): string {
  if (value === null) return `CAST(NULL AS ${duckTypeOf(scalar(kind))})`
  return kind === 'INT64' ? `${value}::BIGINT` : `CAST(${quote(String(value))} AS ${duckTypeOf(scalar(kind))})`
}

/** The columns of a table, or of a view's query; a view that does not work any more has none. */
function fieldsOf(table: ListedTable, { project, dataset, env, translator }: Dataset): readonly TableField[] {
  const resolved = env.context.resolveTable(project, dataset, table.table)
  if (resolved?.kind !== 'view') return resolved?.fields ?? []
  try {
    const statement = parseStatement(resolved.query)
    if (statement.kind !== 'query') return []
    const surroundings = { ctes: new Map(), views: [`${project}.${dataset}.${table.table}`] }
    // In an environment of its own: the view is described, not read.
    const { columns } = translator.query(statement.query, { env: new Environment(env.context), surroundings })
    return columns.map((column, i) => fieldOfType(column.name ?? `f${i}_`, column.type))
  } catch (error) {
    if (error instanceof QueryError) return []
    throw error
  }
}

function columnLine(table: ListedTable, place: Dataset, field: TableField, index: number): Line {
  const cluster = (table.clusteringFields ?? []).findIndex((name) => name.toLowerCase() === field.name.toLowerCase())
  return {
    table_catalog: place.project,
    table_schema: place.dataset,
    table_name: table.table,
    column_name: field.name,
    ordinal_position: index + 1,
    is_nullable: modeOf(field) === 'REQUIRED' ? 'NO' : 'YES',
    data_type: typeText(typeOfField(field)),
    is_generated: 'NEVER',
    is_hidden: 'NO',
    is_system_defined: 'NO',
    is_partitioning_column: table.partitioningField?.toLowerCase() === field.name.toLowerCase() ? 'YES' : 'NO',
    clustering_ordinal_position: cluster < 0 ? null : cluster + 1,
    column_default: field.defaultValueExpression ?? 'NULL',
  }
}

function pathLines(table: ListedTable, place: Dataset, column: string, path: string, field: TableField): Line[] {
  const line: Line = {
    table_catalog: place.project,
    table_schema: place.dataset,
    table_name: table.table,
    column_name: column,
    field_path: path,
    data_type: typeText(typeOfField(field)),
    description: field.description ?? null,
  }
  return [
    line,
    ...(field.fields ?? []).flatMap((member) => pathLines(table, place, column, `${path}.${member.name}`, member)),
  ]
}
