import type { Config, TableName } from '../config/index.ts'
import { type Appender, type AppenderOptions, StreamAppender } from './appender.ts'
import { openChannel } from './channel.ts'
import { type Parameter, query, type Row } from './query.ts'
import { openRest } from './rest.ts'
import {
  type CommitAnswer,
  commitStreams,
  createPacer,
  createStream,
  type FinalizeAnswer,
  finalizeStream,
  type StreamName,
  tableOfStream,
} from './streams.ts'
import type { TableSpec, ViewSpec } from './table-spec.ts'
import { ensureTable, ensureView, type FoundTable, findTable, getTable, type TableState } from './tables.ts'
import { descriptorProto } from './wire.ts'

/** BigQuery, as functions and commands use it. Calls throw the service's own error when their effect is unknown. */
export interface Warehouse {
  /** @throws UserError when the table cannot become what is wanted */
  ensureTable(table: TableName, spec: TableSpec, options?: { adopt?: boolean }): Promise<TableState>
  /** Undefined when there is none. */
  findTable(table: TableName): Promise<FoundTable | undefined>
  ensureView(name: TableName, spec: ViewSpec): Promise<void>
  query(sql: string, parameters?: Readonly<Record<string, Parameter>>): AsyncGenerator<Row>
  /** Paced: at most two a second after a burst of twenty. */
  createStream(table: TableName, type: 'COMMITTED' | 'PENDING'): Promise<StreamName>
  finalizeStream(name: StreamName): Promise<FinalizeAnswer>
  commitStreams(table: TableName, names: readonly StreamName[]): Promise<CommitAnswer>
  /** @param descriptor the rows' self-contained DescriptorProto as a plain object (RowCodec.descriptor) */
  openAppender(stream: StreamName, descriptor: object, options?: AppenderOptions): Appender
  close(): void
}

/** @param entry who calls: `kafka-worker`, `chunk-load`, ...: part of the user agent */
export function openWarehouse(config: Config, entry: string): Warehouse {
  const rest = openRest(config, entry)
  const channel = openChannel(config, entry)
  const streamTurn = createPacer()
  return {
    ensureTable: (table, spec, options) => ensureTable(rest, config.region, table, spec, options),
    findTable: (table) => findTable(rest, table),
    ensureView: (name, spec) => ensureView(rest, config.region, name, spec),
    query: (sql, parameters) => query(rest, config.project, config.region, sql, parameters),
    createStream: (table, type) => createStream(channel, table, type, streamTurn),
    finalizeStream: (name) =>
      finalizeStream(channel, name, async () => (await getTable(rest, tableOfStream(name))) !== undefined),
    commitStreams: (table, names) => commitStreams(channel, table, names),
    openAppender: (stream, descriptor, options) =>
      new StreamAppender(channel, stream, descriptorProto.encode(descriptor), options),
    close: () => channel.close(),
  }
}
