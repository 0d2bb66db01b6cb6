import { status } from '@grpc/grpc-js'
import { type StatusMessage, type StorageErrorCode, statusMessage } from './messages.ts'

/** An answer of the service that is an error: as the end of a call, or inside a response of AppendRows. */
export class WriteError extends Error {
  readonly code: number
  readonly storageError: StorageErrorCode | undefined
  /** The stream or table that it is about, in the StorageError. */
  readonly entity: string

  constructor(code: number, message: string, entity: string, storageError?: StorageErrorCode) {
    super(message)
    this.code = code
    this.entity = entity
    this.storageError = storageError
  }
}

/** The service does not say whether a table is missing or forbidden. */
export function denied(table: string): WriteError {
  const message = `Permission 'TABLES_UPDATE_DATA' denied on resource '${table}' (or it may not exist).`
  return new WriteError(status.PERMISSION_DENIED, message, table)
}

export function invalidName(name: string): WriteError {
  return new WriteError(status.INVALID_ARGUMENT, `Invalid stream name. Entity: ${name}`, name)
}

export function notFound(name: string): WriteError {
  return new WriteError(status.NOT_FOUND, `Requested entity was not found. Entity: ${name}`, name, 'STREAM_NOT_FOUND')
}

export function finalized(name: string): WriteError {
  const message = `Stream has been finalized and cannot be appended. Entity: ${name}`
  return new WriteError(status.INVALID_ARGUMENT, message, name, 'STREAM_FINALIZED')
}

/** The texts that clients parse: the Java client reads `expected offset N, received M`. */
export function wrongOffset(name: string, expected: number, received: number): WriteError {
  const numbers = `expected offset ${expected}, received ${received} Entity: ${name}`
  return received < expected
    ? new WriteError(status.ALREADY_EXISTS, `The offset is within stream, ${numbers}`, name, 'OFFSET_ALREADY_EXISTS')
    : new WriteError(status.OUT_OF_RANGE, `The offset is beyond stream, ${numbers}`, name, 'OFFSET_OUT_OF_RANGE')
}

export function invalid(message: string, entity: string): WriteError {
  return new WriteError(status.INVALID_ARGUMENT, entity === '' ? message : `${message} Entity: ${entity}`, entity)
}

export function notBuilt(what: string): WriteError {
  return new WriteError(status.UNIMPLEMENTED, `${what} is not built in the local BigQuery`, '')
}

/** A WriteError as google.rpc.Status. */
export function statusOf({ code, message, entity, storageError }: WriteError): StatusMessage {
  return statusMessage(code, message, storageError && { code: storageError, entity, message })
}
