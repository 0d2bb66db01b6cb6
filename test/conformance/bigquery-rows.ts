import { once } from 'node:events'
import type { BigQueryWriteClient } from '@google-cloud/bigquery-storage'
import protobuf from 'protobufjs'

/** A message by its fields: `int64`, `repeated string`, or a message in the field's place (in a list: repeated). */
export interface Message {
  [field: string]: string | Message | readonly [Message]
}

/** FieldDescriptorProto.Type */
const TYPES: Readonly<Record<string, number>> = {
  double: 1,
  float: 2,
  int64: 3,
  uint64: 4,
  int32: 5,
  fixed64: 6,
  fixed32: 7,
  bool: 8,
  string: 9,
  bytes: 12,
  uint32: 13,
  sfixed32: 15,
  sfixed64: 16,
  sint32: 17,
  sint64: 18,
}
const MESSAGE = 11
const [OPTIONAL, REPEATED] = [1, 3]

interface Descriptor {
  name: string
  field: { name: string; number: number; type: number; label: number; typeName?: string }[]
  nestedType: Descriptor[]
}

/** A writer schema and its encoder. */
export interface RowType {
  descriptor: Descriptor
  encode(row: Record<string, unknown>): Buffer
}

export function rowType(message: Message): RowType {
  const type = protobufType('Row', message)
  new protobuf.Root().add(type)
  return {
    descriptor: descriptorOf('Row', message),
    encode: (row) => Buffer.from(type.encode(type.fromObject(row)).finish()),
  }
}

const isRepeated = (spec: Message[string]) =>
  Array.isArray(spec) || (typeof spec === 'string' && spec.startsWith('repeated '))
const scalar = (spec: string) => spec.replace('repeated ', '')
const inner = (spec: Exclude<Message[string], string>) => (Array.isArray(spec) ? spec[0] : spec) as Message
const nestedName = (field: string) => `M_${field}`

function protobufType(name: string, message: Message): protobuf.Type {
  const type = new protobuf.Type(name)
  for (const [at, [field, spec]] of Object.entries(message).entries()) {
    const rule = isRepeated(spec) ? 'repeated' : 'optional'
    if (typeof spec !== 'string') type.add(protobufType(nestedName(field), inner(spec)))
    const typeName = typeof spec === 'string' ? scalar(spec) : nestedName(field)
    type.add(new protobuf.Field(field, at + 1, typeName, rule))
  }
  return type
}

function descriptorOf(name: string, message: Message, scope = ''): Descriptor {
  const path = `${scope}.${name}`
  const entries = Object.entries(message)
  return {
    name,
    field: entries.map(([field, spec], at) => ({
      name: field,
      number: at + 1,
      label: isRepeated(spec) ? REPEATED : OPTIONAL,
      ...(typeof spec === 'string'
        ? { type: TYPES[scalar(spec)] ?? 0 }
        : { type: MESSAGE, typeName: `${path}.${nestedName(field)}` }),
    })),
    nestedType: entries.flatMap(([field, spec]) =>
      typeof spec === 'string' ? [] : [descriptorOf(nestedName(field), inner(spec), path)],
    ),
  }
}

/** An answer of AppendRows as the official client gives it. */
export interface AppendResponse {
  appendResult?: { offset?: { value: string } }
  error?: { code: number; message: string; details: { type_url: string; value: Buffer }[] }
  rowErrors: { index: string; code: string; message: string }[]
  updatedSchema?: { fields: { name: string; type: string; mode: string }[] }
  writeStream: string
}

export interface AppendRequest {
  writeStream?: string
  offset?: number
  type?: RowType
  rows?: Buffer[]
  [other: string]: unknown
}

type Duplex = ReturnType<BigQueryWriteClient['appendRows']>

/** One AppendRows call of the official client; `send` gives the answer of its request, or rejects when the call ends. */
export class AppendConnection {
  readonly #call: Duplex
  readonly #waiting: { resolve(response: AppendResponse): void; reject(error: unknown): void }[] = []
  /** How the call ended: its error, if it was one. */
  readonly ended: Promise<{ code: number; message: string } | undefined>

  constructor(client: BigQueryWriteClient) {
    this.#call = client.appendRows()
    this.#call.on('data', (response: AppendResponse) => this.#waiting.shift()?.resolve(response))
    this.ended = new Promise((resolve) => {
      this.#call.on('error', (error: { code: number; message: string }) => {
        for (const { reject } of this.#waiting.splice(0)) reject(error)
        resolve(error)
      })
      this.#call.on('end', () => resolve(undefined))
    })
  }

  send({ writeStream, offset, type, rows, ...other }: AppendRequest): Promise<AppendResponse> {
    this.#call.write({
      ...(writeStream !== undefined && { writeStream }),
      ...(offset !== undefined && { offset: { value: offset } }),
      protoRows: {
        ...(type && { writerSchema: { protoDescriptor: type.descriptor as never } }),
        ...(rows && { rows: { serializedRows: rows } }),
      },
      ...other,
    })
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  async close(): Promise<void> {
    this.#call.end()
    await Promise.race([this.ended, once(this.#call, 'close')])
  }
}
