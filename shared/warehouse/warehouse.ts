import type { Config, TableName } from '../config/index.ts'
import { type Appender, type AppenderOptions, StreamAppender } from './appender.ts'
import { openChannel } from './channel.ts'
import { type Parameters, query } from './query.ts'
import { openRest } from './rest.ts'
import { commitStream, createPacer, createStream, finalizeStream, type StreamName, tableOfStream } from './streams.ts'
import type { TableSpec } from './table-spec.ts'
import { ensureTable, ensureView, findTable } from './tables.ts'
import type { ViewSpec } from './views.ts'
import { descriptorProto } from './wire.ts'

/** BigQuery, as functions and commands use it. Calls throw the service's own error when their effect is unknown. */
export type Warehouse = ReturnType<typeof openWarehouse>

/** @param entry who calls: `kafka-worker`, `chunk-load`, ...: part of the user agent */
export function openWarehouse(config: Config, entry: string) {
  const rest = openRest(config, entry)
  const channel = openChannel(config, entry)
  const streamTurn = createPacer()
  return {
    /** @throws UserError when the table cannot become what is wanted */
    ensureTable: (table: TableName, spec: TableSpec, options?: { adopt?: boolean }) =>
      ensureTable(rest, table, spec, options),
    findTable: (table: TableName) => findTable(rest, table),
    ensureView: (spec: ViewSpec) => ensureView(rest, spec),
    query: (sql: string, parameters?: Parameters) => query(rest, sql, parameters),
    /** Paced: at most two a second after a burst of twenty. */
    createStream: (table: TableName, type: 'COMMITTED' | 'PENDING') => createStream(channel, table, type, streamTurn),
    finalizeStream: (name: StreamName) =>
      finalizeStream(channel, name, async () => (await findTable(rest, tableOfStream(name))) !== undefined),
    commitStream: (name: StreamName) => commitStream(channel, name),
    /** @param descriptor the rows' self-contained DescriptorProto as a plain object (RowCodec.descriptor) */
    openAppender: (stream: StreamName, descriptor: object, options?: AppenderOptions): Appender =>
      new StreamAppender(channel, stream, descriptorProto.encode(descriptor), options),
    close: () => channel.close(),
  }
}
