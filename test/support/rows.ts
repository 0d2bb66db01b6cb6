import protobuf from 'protobufjs'
import 'protobufjs/ext/descriptor.js'
import type { CodecRoute, Origin, RowBuffer, RowCodec } from '../../shared/codec/index.ts'

/** An origin that leaves the metadata column empty but for the time. */
export const NOWHERE: Origin = {
  source: null,
  position: 0,
  size: 0,
  kafkaTopic: null,
  kafkaPartition: 0,
  kafkaOffset: 0,
  ingestedAtMicros: 0,
}

/** An origin that fills the metadata column, as an agent's event in Kafka does. */
export const HERE: Origin = {
  source: 'abcdefghijklmnopqrstuvwxyz',
  position: 300_000_000_000,
  size: 221,
  kafkaTopic: 'visits',
  kafkaPartition: 3,
  kafkaOffset: 123_456,
  ingestedAtMicros: 1_764_000_000_000_000,
}

/** A route with the defaults of the configuration. */
export function routeOf(route: Partial<CodecRoute>): CodecRoute {
  return { name: 'test', format: 'json', unknown: 'keep', metadata: 'millrace', convert: {}, ...route }
}

/** The message of a codec's rows, by its own descriptor: what the service sees. */
export function rowType(codec: RowCodec): protobuf.Type {
  const file = { name: 'row.proto', syntax: 'proto2', messageType: [codec.descriptor] }
  return protobuf.Root.fromDescriptor({ file: [file] }).lookupType('Row')
}

const ENTRIES = new protobuf.Type('Entries').add(new protobuf.Field('rows', 1, 'bytes', 'repeated'))

/** The rows of a buffer as plain objects: 64-bit numbers as text, absent columns left out. */
export function decodeRows(codec: RowCodec, out: RowBuffer): Record<string, unknown>[] {
  const type = rowType(codec)
  const rows = (ENTRIES.decode(out.slice()).toJSON()['rows'] ?? []) as string[]
  return rows.map((row) => {
    const bytes = Buffer.from(row, 'base64')
    return type.toObject(type.decode(bytes), { longs: String, bytes: String }) as Record<string, unknown>
  })
}
