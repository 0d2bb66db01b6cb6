import type { TableField } from '../types.ts'

/** The full name of a table or a view. */
export interface TableName {
  project: string
  dataset: string
  table: string
}

/** What a name in a FROM clause stands for. */
export type ResolvedTable =
  | {
      kind: 'table'
      /** The relation as DuckDB reads it, quoted: `"d"."t"`. It is put into the statement as it is. */
      duckName: string
      /** The fields in their REST form; the relation has one column for each, of the DuckDB type in `../types.ts`. */
      fields: readonly TableField[]
      /** True when the relation also has the hidden column `_PARTITIONTIME`. */
      partitionTime?: boolean
      /** The columns of which a statement must filter one; absent: the table requires no filter. */
      requiredFilter?: readonly string[]
    }
  | { kind: 'view'; query: string }

/** A line of `INFORMATION_SCHEMA.TABLES`. */
export interface ListedTable {
  table: string
  type: 'BASE TABLE' | 'VIEW'
  createdMs?: number
  partitioningField?: string
  clusteringFields?: readonly string[]
}

/** The type of a query parameter, in the form of the REST API's `QueryParameterType`. */
export interface ParameterType {
  type: string
  arrayType?: ParameterType
  structTypes?: { name?: string; type: ParameterType }[]
}

/** The value of a query parameter, in the form of the REST API's `QueryParameterValue`; absent or null: NULL. */
export interface ParameterValue {
  value?: string | null
  arrayValues?: ParameterValue[] | null
  structValues?: Record<string, ParameterValue> | null
}

/** One entry of `queryParameters` of the REST API. */
export interface QueryParameter {
  name?: string
  parameterType?: ParameterType
  parameterValue?: ParameterValue
}

/** What surrounds a statement. */
export interface TranslationContext {
  project: string
  defaultDataset?: { project: string; dataset: string }
  /** Looked up once for each name; undefined: BigQuery's "Not found: Table". */
  resolveTable(project: string, dataset: string, table: string): ResolvedTable | undefined
  /** Tables of a dataset for INFORMATION_SCHEMA; undefined: no such dataset. */
  listTables?(project: string, dataset: string): readonly ListedTable[] | undefined
  parameters?: readonly QueryParameter[]
  parameterMode?: 'NAMED' | 'POSITIONAL'
  /** The location in messages; US by default. */
  location?: string
  /** The time of CURRENT_TIMESTAMP(), milliseconds since the epoch; the system's time by default. */
  nowMs?: number
}

export type StatementType =
  | 'SELECT'
  | 'INSERT'
  | 'UPDATE'
  | 'DELETE'
  | 'MERGE'
  | 'TRUNCATE_TABLE'
  | 'CREATE_VIEW'
  | 'DROP_VIEW'
  | 'ALTER_TABLE'

interface TranslatedBase {
  statementType: StatementType
  /** Every stored table that the statement reads, through views too, or writes: bring them up to date before it runs. */
  tables: TableName[]
}

/** A query: one DuckDB SELECT. */
export interface TranslatedSelect extends TranslatedBase {
  statementType: 'SELECT'
  sql: string
  schema: TableField[]
}

export interface Guard {
  sql: string
  message: string
}

/** A statement that changes the rows of `target`. */
export interface TranslatedDml extends TranslatedBase {
  statementType: 'INSERT' | 'UPDATE' | 'DELETE' | 'MERGE' | 'TRUNCATE_TABLE'
  sql: string
  target: TableName
  /** Queries to run before: each that returns a row stops the statement with its message. */
  guards: Guard[]
}

/** CREATE VIEW and DROP VIEW change the catalog, which is the caller's: `runQuery` refuses them. */
export interface TranslatedView extends TranslatedBase {
  statementType: 'CREATE_VIEW' | 'DROP_VIEW'
  target: TableName
  /** The text after AS, and the schema of its result (CREATE VIEW only). */
  query?: string
  schema?: TableField[]
  orReplace: boolean
  /** IF NOT EXISTS of a CREATE, IF EXISTS of a DROP. */
  tolerant: boolean
}

/** ALTER COLUMN SET DATA TYPE changes the catalog too. */
export interface TranslatedAlter extends TranslatedBase {
  statementType: 'ALTER_TABLE'
  target: TableName
  /** The table's fields with the column's new type. */
  fields: TableField[]
}

export type Translated = TranslatedSelect | TranslatedDml | TranslatedView | TranslatedAlter

/** How the REST API was asked to write TIMESTAMP values: seconds with a fraction, microseconds, or ISO 8601. */
export type TimestampFormat = 'FLOAT64' | 'INT64' | 'ISO8601_STRING'

/** A value in the REST API's form: text, NULL, a record `{f}` or an array of `{v}`. */
export type Cell = string | null | { f: { v: Cell }[] } | { v: Cell }[]

/** A row in the REST API's form. */
export interface ResultRow {
  f: { v: Cell }[]
}

export interface DmlStats {
  insertedRowCount: number
  updatedRowCount: number
  deletedRowCount: number
}

/** The answer of a statement. */
export interface QueryResult {
  /** Empty for a statement that changes rows. */
  schema: TableField[]
  /** Rows a chunk at a time (about 2,048 each), fetched as they are asked for; consume it once. */
  chunks: AsyncIterable<ResultRow[]>
  dml?: DmlStats
}
