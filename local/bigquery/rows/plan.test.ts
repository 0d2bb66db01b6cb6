import assert from 'node:assert/strict'
import { test } from 'node:test'
import protobuf from 'protobufjs'
import type { TableField } from '../types.ts'
import { storageRoot } from './descriptor.ts'
import { layoutOf } from './layout.ts'
import { compilePlan, type Defaults, SchemaMismatch } from './plan.ts'
import { Reader } from './reader.ts'
import { walk } from './walk.ts'

interface Field {
  name: string
  number: number
  type: number
  label?: number
  typeName?: string
  defaultValue?: string
}

const [INT64, INT32, BOOL, STRING, MESSAGE, ENUM, DOUBLE] = [3, 5, 8, 9, 11, 14, 1]
const descriptorType = storageRoot.lookupType('google.protobuf.DescriptorProto')

function descriptorOf(field: Field[], nested: { nestedType?: object[]; enumType?: object[] } = {}): Buffer {
  const labelled = field.map((one) => ({ label: 1, ...one }))
  const message = descriptorType.fromObject({ name: 'Row', field: labelled, ...nested })
  return Buffer.from(descriptorType.encode(message).finish())
}

/** Walks one row and gives the single value of the first column: its Parquet page as hex, or why the row was refused. */
function store(field: TableField, descriptor: Buffer, row: Uint8Array, defaults: Defaults = {}): string {
  const layout = layoutOf([field])
  const reader = new Reader()
  reader.buffer = Buffer.from(row)
  reader.end = row.length
  const plan = compilePlan(descriptor, layout, defaults, () => 86_400_000)
  if (!walk(reader, plan, 0, 0, true)) return reader.error
  const [, , values = Buffer.alloc(0)] = layout[0]?.columns[0]?.page() ?? []
  return values.toString('hex')
}

const text = (value: string) => {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(Buffer.byteLength(value))
  return length.toString('hex') + Buffer.from(value).toString('hex')
}
const int64 = (value: bigint) => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64LE(value)
  return bytes.toString('hex')
}
const write = (build: (writer: protobuf.Writer) => protobuf.Writer) => build(protobuf.Writer.create()).finish()
const column = (type: string): TableField => ({ name: 'c', type })

const COLORS = {
  enumType: [
    {
      name: 'Color',
      value: [
        { name: 'NONE', number: 0 },
        { name: 'RED', number: 1 },
        { name: 'ROUGE', number: 1 },
      ],
    },
  ],
}
const color = (more: object = {}) =>
  descriptorOf([{ name: 'c', number: 1, type: ENUM, typeName: '.Row.Color', ...more }], COLORS)

test('an enum is its first name in a STRING and its number in an INT64; an unknown number is refused', () => {
  const red = write((writer) => writer.uint32(8).int32(1))
  assert.equal(store(column('STRING'), color(), red), text('RED'))
  assert.equal(store(column('INT64'), color(), red), int64(1n))
  assert.match(
    store(
      column('STRING'),
      color(),
      write((writer) => writer.uint32(8).int32(7)),
    ),
    /Unknown enum value 7/,
  )
})

test('an absent field has the default of its descriptor, as clients declare it for the zero values of proto3', () => {
  const nothing = Buffer.alloc(0)
  const withDefault = (type: number, defaultValue: string) =>
    descriptorOf([{ name: 'c', number: 1, type, defaultValue }])
  assert.equal(store(column('INT64'), withDefault(INT64, '0'), nothing), int64(0n))
  assert.equal(store(column('INT64'), withDefault(INT32, '-3'), nothing), int64(-3n))
  assert.equal(store(column('STRING'), withDefault(STRING, ''), nothing), text(''))
  assert.equal(store(column('BOOL'), withDefault(BOOL, 'true'), nothing), '01')
  assert.equal(store(column('FLOAT64'), withDefault(DOUBLE, '-inf'), nothing), '000000000000f0ff')
  assert.equal(store(column('STRING'), color({ defaultValue: 'RED' }), nothing), text('RED'))
  assert.equal(store(column('INT64'), descriptorOf([{ name: 'c', number: 1, type: INT64 }]), nothing), '')
})

test("a column's own default takes the place of an absent value, at the time of the append", () => {
  const other = descriptorOf([])
  assert.equal(store(column('DATE'), other, Buffer.alloc(0), { c: 'CURRENT_DATE()' }), '01000000')
  assert.equal(
    store(column('TIMESTAMP'), other, Buffer.alloc(0), { c: "TIMESTAMP '1970-01-01 00:00:01.000002+00'" }),
    int64(1_000_002n),
  )
  assert.equal(store(column('STRING'), other, Buffer.alloc(0), { c: '"x"' }), text('x'))
})

const WELL_KNOWN = {
  nestedType: [
    {
      name: 'google_protobuf_Timestamp',
      field: [
        { name: 'seconds', number: 1, type: INT64, label: 1 },
        { name: 'nanos', number: 2, type: INT32, label: 1 },
      ],
    },
    { name: 'google_protobuf_Int64Value', field: [{ name: 'value', number: 1, type: INT64, label: 1 }] },
    { name: 'google_protobuf_StringValue', field: [{ name: 'value', number: 1, type: STRING, label: 1 }] },
  ],
}
const wellKnown = (name: string, inlined = true) =>
  descriptorOf(
    [
      {
        name: 'c',
        number: 1,
        type: MESSAGE,
        typeName: inlined ? `.Row.google_protobuf_${name}` : `.google.protobuf.${name}`,
      },
    ],
    inlined ? WELL_KNOWN : {},
  )

test('Timestamp and Duration, inlined or by name', () => {
  const moment = write((writer) => writer.uint32(10).fork().uint32(8).int64(-1).uint32(16).int32(999_999_999).ldelim())
  assert.equal(store(column('TIMESTAMP'), wellKnown('Timestamp'), moment), int64(-1n))
  assert.equal(store(column('TIMESTAMP'), wellKnown('Timestamp', false), moment), int64(-1n))
  const span = write((writer) => writer.uint32(10).fork().uint32(8).int64(90).uint32(16).int32(5_000).ldelim())
  assert.equal(
    store(column('INTERVAL'), wellKnown('Duration', false), span),
    text('0 months 0 days 90000005 microseconds'),
  )
})

test('wrappers: a present one without a value is the zero, an absent one is NULL', () => {
  const empty = write((writer) => writer.uint32(10).fork().ldelim())
  const seven = write((writer) => writer.uint32(10).fork().uint32(8).int64(7).ldelim())
  assert.equal(store(column('INT64'), wellKnown('Int64Value'), seven), int64(7n))
  assert.equal(store(column('INT64'), wellKnown('Int64Value', false), seven), int64(7n))
  assert.equal(store(column('INT64'), wellKnown('Int64Value'), empty), int64(0n))
  assert.equal(store(column('STRING'), wellKnown('StringValue'), empty), text(''))
  assert.equal(store(column('STRING'), wellKnown('StringValue'), Buffer.alloc(0)), '')
})

test('names match in any case; a REQUIRED field that is absent is refused with its path', () => {
  const inner: TableField = { name: 'Inner', type: 'INT64', mode: 'REQUIRED' }
  const outer: TableField = { name: 'C', type: 'RECORD', fields: [inner] }
  const nestedType = [{ name: 'M', field: [{ name: 'inner', number: 1, type: INT64, label: 1 }] }]
  const descriptor = descriptorOf([{ name: 'c', number: 1, type: MESSAGE, typeName: '.Row.M' }], { nestedType })
  const present = write((writer) => writer.uint32(10).fork().uint32(8).int64(5).ldelim())
  assert.equal(store(outer, descriptor, present), int64(5n))
  assert.match(
    store(
      outer,
      descriptor,
      write((writer) => writer.uint32(10).fork().ldelim()),
    ),
    /Field C\.Inner: Missing required field/,
  )
  assert.equal(store(outer, descriptor, Buffer.alloc(0)), '')
})

test('extra fields are named, at every depth', () => {
  const field: TableField = { name: 'c', type: 'RECORD', fields: [{ name: 'a', type: 'INT64' }] }
  const nestedType = [{ name: 'M', field: [{ name: 'b', number: 1, type: INT64, label: 1 }] }]
  const descriptor = descriptorOf([{ name: 'c', number: 1, type: MESSAGE, typeName: '.Row.M' }], { nestedType })
  assert.throws(
    () => compilePlan(descriptor, layoutOf([field]), {}, Date.now),
    (error) => error instanceof SchemaMismatch && error.extraFields.join() === 'c.b',
  )
})
