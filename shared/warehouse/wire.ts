import { createRequire } from 'node:module'
import protobuf from 'protobufjs'

/** The service's own message definitions, without the client's run time (57 MB) around them. */
const definitions = createRequire(import.meta.url)(
  '@google-cloud/bigquery-storage/build/protos/protos.json',
) as protobuf.INamespace
const root = protobuf.Root.fromJSON(definitions)
const PACKAGE = 'google.cloud.bigquery.storage.v1'

/** Encodes and decodes one kind of message as a plain object: int64 as decimal strings, enums by name. */
function codecOf(name: string) {
  const type = root.lookupType(name)
  return {
    encode: (message: object): Buffer => Buffer.from(type.encode(type.fromObject(message)).finish()),
    decode: (bytes: Uint8Array): Record<string, unknown> =>
      type.toObject(type.decode(bytes), { longs: String, enums: String, arrays: true }),
  }
}

const storage = (name: string) => codecOf(`${PACKAGE}.${name}`)

export const appendRowsResponse = storage('AppendRowsResponse')
export const descriptorProto = codecOf('google.protobuf.DescriptorProto')
export const rpcStatus = codecOf('google.rpc.Status')
const storageError = storage('StorageError')

/** The unary methods of BigQueryWrite that Millrace calls: request and response of each. */
export const METHODS = {
  CreateWriteStream: [storage('CreateWriteStreamRequest'), storage('WriteStream')],
  FinalizeWriteStream: [storage('FinalizeWriteStreamRequest'), storage('FinalizeWriteStreamResponse')],
  BatchCommitWriteStreams: [storage('BatchCommitWriteStreamsRequest'), storage('BatchCommitWriteStreamsResponse')],
} as const

export const pathOf = (method: string): string => `/${PACKAGE}.BigQueryWrite/${method}`

/** The StorageError codes among the details of a google.rpc.Status. */
export function storageErrorsOf({ details = [] }: { readonly details?: unknown }): string[] {
  return (details as { type_url?: string; value?: Uint8Array }[]).flatMap(({ type_url: url, value }) =>
    url?.endsWith('.StorageError') && value ? [String(storageError.decode(value)['code'] ?? '')] : [],
  )
}

/** One length-delimited field of a protobuf message. */
export function field(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes])
}

export function varint(value: number): Uint8Array {
  return protobuf.Writer.create().uint64(value).finish()
}
