import type { FileConfig } from './schema.ts'

/** A table by its full name. */
export interface TableName {
  readonly project: string
  readonly dataset: string
  readonly table: string
}

/** A route as the file has it, with its defaults. */
export type FileRoute = FileConfig['routes'][string]

/** The path of one kind of event: topic, schema, table and format. */
export interface Route extends Omit<FileRoute, 'table' | 'framing' | 'schema'> {
  readonly name: string
  readonly table: TableName
  readonly framing: 'lines' | 'delimited'
  /** Absolute path of the schema's file, with `#package.Message` for a `.proto` file. */
  readonly schema?: string
}

type FileAgent = FileConfig['agent']
/** What an agent follows. */
export type LogConfig = FileAgent['logs'][number]

/** Durations in milliseconds, sizes in bytes, paths absolute. */
export interface AgentConfig extends FileAgent {
  readonly id: string
  readonly lock_file: string
}

/** The section `kafka`: where the brokers are, and how they know us. */
export type KafkaConfig = NonNullable<FileConfig['kafka']>
/** The section `consumer`, of worker and drain. */
export type ConsumerConfig = FileConfig['consumer']
/** The section `push`. */
export type PushConfig = NonNullable<FileConfig['push']>
export type Endpoints = FileConfig['endpoints']

/** What `millrace.yaml` and the environment say, checked and complete: durations in milliseconds, sizes in bytes. */
export interface Config extends Omit<FileConfig, 'routes' | 'agent'> {
  /** Absolute path of the file it was read from. */
  readonly file: string
  /** By name, in the order of the file. */
  readonly routes: Readonly<Record<string, Route>>
  readonly agent: AgentConfig
}

/** `project.dataset.table`, as it stands between backquotes in SQL. */
export function tableId({ project, dataset, table }: TableName): string {
  return `${project}.${dataset}.${table}`
}

/** A table as the file names it, completed by its defaults. */
export function tableName(text: string, { project, dataset }: Pick<FileConfig, 'project' | 'dataset'>): TableName {
  const parts = text.split('.')
  const table = parts.pop() ?? ''
  const ownDataset = parts.pop() ?? dataset
  return { project: parts.length > 0 ? parts.join('.') : project, dataset: ownDataset, table }
}
