import { status } from '@grpc/grpc-js'
import type { Clock } from '../../clock/index.ts'
import type { TableWatch } from '../catalog/table-watch.ts'
import { layoutOf } from '../rows/layout.ts'
import { compilePlan, type Defaults, type MessagePlan, SchemaMismatch } from '../rows/plan.ts'
import type { WriterState } from '../store/segment.ts'
import { DEFAULT_STREAM, type Store } from '../store/store.ts'
import type { TableField } from '../types.ts'
import { type AppendRequest, countRows, parseAppendRequest } from './append-request.ts'
import { checkRows } from './check-rows.ts'
import { finalized, invalid, notBuilt, statusOf, WriteError, wrongOffset } from './errors.ts'
import { type AppendRowsResponse, statusMessage, tableSchemaMessage } from './messages.ts'
import type { FoundStream, Streams } from './streams.ts'

/** The limit of the service: https://cloud.google.com/bigquery/quotas#write-api-limits */
export const REQUEST_BYTES_MAX = 20 * 1000 * 1000
/** AppendRowsRequest.MissingValueInterpretation */
const DEFAULT_VALUE = 2
/** RowError.RowErrorCode */
const FIELDS_ERROR = 1

/** What a connection remembers from its earlier requests. */
export interface Connection {
  writeStream: string
  descriptor: Buffer | undefined
  defaultMissing: number
  writer: CompiledWriter | undefined
  /** The fields that the client has been told, by stream name. */
  toldFields: Map<string, readonly TableField[]>
}

interface CompiledWriter {
  fields: readonly TableField[]
  descriptor: Buffer
  interpretation: string
  plan: MessagePlan
  /** JSON of a WriterState. */
  state: string
}

export function newConnection(): Connection {
  return { writeStream: '', descriptor: undefined, defaultMissing: 0, writer: undefined, toldFields: new Map() }
}

/** AppendRows, one request at a time: checked, written and answered without a pause in between. */
export class Appends {
  readonly #store: Store
  readonly #streams: Streams
  readonly #clock: Clock
  readonly #watch: TableWatch

  constructor(store: Store, streams: Streams, clock: Clock, watch: TableWatch) {
    this.#store = store
    this.#streams = streams
    this.#clock = clock
    this.#watch = watch
  }

  /** Answers a request. Throws a WriteError when the call ends with it; errors that do not end it are in the response. */
  append(connection: Connection, message: Buffer): AppendRowsResponse {
    const request = parseAppendRequest(message)
    if (request === undefined) throw invalid('The request is not an AppendRowsRequest.', '')
    remember(connection, request)
    const name = connection.writeStream
    if (name === '') throw invalid('write_stream must be set in the first request.', '')
    const found = this.#streams.resolve(name)
    try {
      if (message.length > REQUEST_BYTES_MAX) throw tooLarge(message.length, name)
      return { ...this.#write(connection, request, found), ...this.#schemaNews(connection, found), writeStream: name }
    } catch (error) {
      if (!(error instanceof WriteError)) throw error
      return { error: statusOf(error), writeStream: name, ...this.#schemaNews(connection, found) }
    }
  }

  #write(connection: Connection, request: AppendRequest, found: FoundStream): AppendRowsResponse {
    const { name, table, stream } = found
    if (stream?.finalizedRows !== undefined) throw finalized(name)
    if (stream === undefined && request.offset !== undefined) {
      throw invalid('Offset must not be set for the default stream.', name)
    }
    if (request.hasArrow) throw notBuilt('Arrow input')
    const log = this.#store.log(table.uid, stream?.id ?? DEFAULT_STREAM)
    const { end } = log
    if (request.offset !== undefined && request.offset !== end) throw wrongOffset(name, end, request.offset)
    if (request.rows.length === 0) throw invalid('The request has no rows.', name)
    const accepted = this.#store.warehouse ? this.#check(connection, request, found) : counted(request, name)
    if ('rowErrors' in accepted) return accepted
    this.#store.touch(log)
    log.append(accepted.writer, accepted.rows, accepted.body, this.#clock.now())
    return { appendResult: stream === undefined ? {} : { offset: { value: end } } }
  }

  #check(
    connection: Connection,
    request: AppendRequest,
    found: FoundStream,
  ): { writer: string; rows: number; body: Buffer } | (AppendRowsResponse & { rowErrors: unknown }) {
    const writer = this.#writer(connection, request, found)
    const checked = checkRows(request.rows, writer.plan)
    if (checked.kind === 'good') return { writer: writer.state, rows: checked.rows, body: checked.body }
    if (checked.kind === 'malformed') throw invalid('The rows are malformed.', found.name)
    const text =
      'Errors found while processing rows. Please refer to the row_errors field for details. ' +
      `The list may not be complete because of the size limitations. Entity: ${found.name}`
    return {
      error: statusMessage(status.INVALID_ARGUMENT, text),
      rowErrors: checked.errors.map(({ index, message }) => ({ index, code: FIELDS_ERROR, message })),
    }
  }

  /** The plan for the connection's writer schema and the table as it is now. */
  #writer(connection: Connection, request: AppendRequest, { name, table }: FoundStream): CompiledWriter {
    const { descriptor } = connection
    if (descriptor === undefined) throw invalid('writer_schema must be set in the first request.', name)
    const fields = this.#watch.appendFields(table)
    const interpretation = `${connection.defaultMissing} ${[...request.missing].join()}`
    const known = connection.writer
    if (known?.fields === fields && known.interpretation === interpretation && known.descriptor === descriptor) {
      return known
    }
    const defaults = defaultsOf(fields, connection.defaultMissing, request.missing)
    const plan = planOf(descriptor, fields, defaults, name)
    const state: WriterState = { descriptor: descriptor.toString('base64'), defaults }
    connection.writer = { fields, descriptor, interpretation, plan, state: JSON.stringify(state) }
    return connection.writer
  }

  /** The schema, when it has changed since the connection was told last. */
  #schemaNews(connection: Connection, { name, table }: FoundStream): AppendRowsResponse {
    const fields = this.#watch.appendFields(table)
    const told = connection.toldFields.get(name)
    if (told === fields) return {}
    connection.toldFields.set(name, fields)
    if (told === undefined || JSON.stringify(told) === JSON.stringify(fields)) return {}
    return { updatedSchema: tableSchemaMessage(fields) }
  }
}

function remember(connection: Connection, request: AppendRequest): void {
  if (request.writeStream !== '') connection.writeStream = request.writeStream
  const { descriptor } = request
  if (descriptor !== undefined && !connection.descriptor?.equals(descriptor)) {
    // The request's bytes are valid only while it is answered.
    connection.descriptor = Buffer.from(descriptor)
  }
  if (request.defaultMissing !== 0) connection.defaultMissing = request.defaultMissing
}

/** The columns whose absence means their default. */
function defaultsOf(fields: readonly TableField[], otherwise: number, missing: ReadonlyMap<string, number>): Defaults {
  const defaults: Record<string, string> = {}
  for (const { name, defaultValueExpression } of fields) {
    const key = name.toLowerCase()
    if (defaultValueExpression === undefined || (missing.get(key) ?? otherwise) !== DEFAULT_VALUE) continue
    defaults[key] = defaultValueExpression
  }
  return defaults
}

function planOf(descriptor: Buffer, fields: readonly TableField[], defaults: Defaults, name: string): MessagePlan {
  try {
    return compilePlan(descriptor, layoutOf(fields), defaults, Date.now)
  } catch (error) {
    if (!(error instanceof SchemaMismatch)) throw invalid('Invalid proto schema: it is no DescriptorProto.', name)
    if (error.extraFields.some((field) => CHANGE_COLUMN.test(field))) throw noChanges(name)
    const code = error.extraFields.length > 0 ? 'SCHEMA_MISMATCH_EXTRA_FIELDS' : undefined
    throw new WriteError(status.INVALID_ARGUMENT, `${error.message} Entity: ${name}`, name, code)
  }
}

/** The pseudo columns of change data capture, which the service takes on default streams alone. */
const CHANGE_COLUMN = /^_CHANGE_(?:TYPE|SEQUENCE_NUMBER)$/i

function noChanges(name: string): WriteError {
  if (name.endsWith(`/${DEFAULT_STREAM}`)) return notBuilt('Change data capture')
  return invalid('_CHANGE_TYPE can only be used with the default stream.', name)
}

function counted(request: AppendRequest, name: string): { writer: string; rows: number; body: Buffer } {
  const rows = countRows(request.rows)
  if (rows === undefined) throw invalid('The rows are malformed.', name)
  return { writer: '', rows, body: request.rows }
}

function tooLarge(size: number, name: string): WriteError {
  return invalid(`MessageSize is too large. Max allow: ${REQUEST_BYTES_MAX} Actual: ${size}.`, name)
}
