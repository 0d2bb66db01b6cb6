import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { DuckDBInstance } from '@duckdb/node-api'
import fc from 'fast-check'
import protobuf from 'protobufjs'
import { storageRoot } from '../rows/descriptor.ts'
import { compilePlan } from '../rows/plan.ts'
import { layoutOf } from '../rows/layout.ts'
import type { StoredRecord } from '../store/records.ts'
import { ROWS } from '../store/segment.ts'
import type { TableField } from '../types.ts'
import { checkRows } from '../write/check-rows.ts'
import { BatchBuilder } from './batch.ts'

/**
 * Any rows of any table go over the wire, through the columns and Parquet, into DuckDB and come out as they were: fields
 * in any order, arrays packed or not and mixed with one another, fields that come twice, absent ones at every depth.
 */

const tmp = mkdtempSync(join(tmpdir(), 'millrace-batch-'))
after(() => rmSync(tmp, { recursive: true }))

interface Node {
  name: string
  type: 'INT64' | 'STRING' | 'BOOL' | 'FLOAT64' | 'RECORD'
  repeated: boolean
  fields: Node[]
}

const PROTO_TYPE = { INT64: 3, STRING: 9, BOOL: 8, FLOAT64: 1, RECORD: 11 } as const

const { fields: anyFields } = fc.letrec<{ fields: Node[]; node: Node }>((tie) => ({
  fields: fc
    .array(tie('node'), { minLength: 1, maxLength: 4, depthIdentifier: 'record' })
    .map((nodes) => nodes.map((node, at) => ({ ...node, name: `f${at}` }))),
  node: fc.oneof(
    { depthIdentifier: 'record', maxDepth: 3, withCrossShrink: true },
    fc.record({
      name: fc.constant(''),
      type: fc.constantFrom('INT64' as const, 'STRING' as const, 'BOOL' as const, 'FLOAT64' as const),
      repeated: fc.boolean(),
      fields: fc.constant<Node[]>([]),
    }),
    fc.record({
      name: fc.constant(''),
      type: fc.constant('RECORD' as const),
      repeated: fc.boolean(),
      fields: tie('fields'),
    }),
  ),
}))

function anyValue(node: Node): fc.Arbitrary<unknown> {
  if (node.type === 'INT64') return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)
  if (node.type === 'STRING') return fc.string({ unit: 'grapheme', maxLength: 20 })
  if (node.type === 'BOOL') return fc.boolean()
  if (node.type === 'FLOAT64') return fc.double({ noNaN: true, noDefaultInfinity: true })
  return anyRow(node.fields)
}

/** A row has a member for each field that is present; arrays may be empty. */
function anyRow(fields: Node[]): fc.Arbitrary<Record<string, unknown>> {
  const members = fields.map(
    (node) => [node.name, node.repeated ? fc.array(anyValue(node), { maxLength: 4 }) : anyValue(node)] as const,
  )
  return fc.record(Object.fromEntries(members), { requiredKeys: [] })
}

/** What comes out: NULL for what is absent, an empty array for an absent array. */
function expected(fields: Node[], row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    fields.map((node) => {
      const value = row[node.name]
      const one = (element: unknown) =>
        node.type === 'RECORD' ? expected(node.fields, element as Record<string, unknown>) : element
      if (node.repeated) return [node.name, ((value ?? []) as unknown[]).map(one)]
      return [node.name, value === undefined ? null : one(value)]
    }),
  )
}

/** Encodes a row with its pieces in an order that `pick` decides; arrays of numbers may be packed. */
function encode(fields: Node[], row: Record<string, unknown>, pick: () => number): Buffer {
  const queues = fields.flatMap((node, at) => pieces(node, at + 1, row[node.name], pick))
  const parts: Buffer[] = []
  while (queues.length > 0) {
    const queue = queues[pick() % queues.length] as Buffer[]
    const piece = queue.shift()
    if (piece === undefined) queues.splice(queues.indexOf(queue), 1)
    else parts.push(piece)
  }
  return Buffer.concat(parts)
}

/** The pieces of a field, in the order that they must keep among themselves. */
function pieces(node: Node, number: number, value: unknown, pick: () => number): Buffer[][] {
  if (value === undefined) return []
  if (!node.repeated) {
    const piece = encodeOne(node, number, value, pick)
    // Twice the same value: for a message that merges into itself only when it has no arrays.
    return [pick() % 8 === 0 && node.type !== 'RECORD' ? [piece, piece] : [piece]]
  }
  const elements = value as unknown[]
  const packable = node.type !== 'STRING' && node.type !== 'RECORD'
  if (packable && elements.length > 0 && pick() % 2 === 0) {
    const body = Buffer.concat(elements.map((element) => encodeScalar(node.type, element)))
    return [
      [
        Buffer.from(
          protobuf.Writer.create()
            .uint32(number * 8 + 2)
            .bytes(body)
            .finish(),
        ),
      ],
    ]
  }
  return [elements.map((element) => encodeOne(node, number, element, pick))]
}

function encodeOne(node: Node, number: number, value: unknown, pick: () => number): Buffer {
  const wireType = node.type === 'FLOAT64' ? 1 : node.type === 'INT64' || node.type === 'BOOL' ? 0 : 2
  const tag = Buffer.from(
    protobuf.Writer.create()
      .uint32(number * 8 + wireType)
      .finish(),
  )
  if (node.type !== 'RECORD') return Buffer.concat([tag, encodeScalar(node.type, value)])
  const body = encode(node.fields, value as Record<string, unknown>, pick)
  return Buffer.concat([tag, Buffer.from(protobuf.Writer.create().bytes(body).finish())])
}

function encodeScalar(type: Node['type'], value: unknown): Buffer {
  const writer = protobuf.Writer.create()
  if (type === 'INT64') writer.int64(value as string)
  else if (type === 'STRING') writer.string(value as string)
  else if (type === 'BOOL') writer.bool(value as boolean)
  else writer.double(value as number)
  return Buffer.from(writer.finish())
}

function tableFields(fields: Node[]): TableField[] {
  return fields.map(({ name, type, repeated, fields: inner }) => ({
    name,
    type,
    mode: repeated ? 'REPEATED' : 'NULLABLE',
    ...(type === 'RECORD' && { fields: tableFields(inner) }),
  }))
}

function descriptor(name: string, fields: Node[], scope: string): object {
  const path = `${scope}.${name}`
  return {
    name,
    field: fields.map((node, at) => ({
      name: node.name,
      number: at + 1,
      type: PROTO_TYPE[node.type],
      label: node.repeated ? 3 : 1,
      typeName: node.type === 'RECORD' ? `${path}.M${at}` : '',
    })),
    nestedType: fields.flatMap((node, at) => (node.type === 'RECORD' ? [descriptor(`M${at}`, node.fields, path)] : [])),
  }
}

function encodeDescriptor(fields: Node[]): Buffer {
  const type = storageRoot.lookupType('google.protobuf.DescriptorProto')
  return Buffer.from(type.encode(type.fromObject(descriptor('Row', fields, ''))).finish())
}

function record(body: Buffer, rows: number): StoredRecord {
  return { kind: ROWS, length: body.length, rows, crc: 0, offset: 0, timeMs: 0, body, at: 0, next: 0 }
}

const anyCase = anyFields.chain((fields) =>
  fc.record({
    fields: fc.constant(fields),
    rows: fc.array(anyRow(fields), { minLength: 1, maxLength: 8 }),
    choices: fc.infiniteStream(fc.nat()),
  }),
)

test('rows go through the wire, columns, Parquet and DuckDB unchanged', async () => {
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  let files = 0
  await fc.assert(
    fc.asyncProperty(anyCase, async ({ fields, rows, choices }) => {
      const pick = () => choices.next().value as number
      const entries = rows.map((row) =>
        protobuf.Writer.create()
          .uint32(10)
          .bytes(encode(fields, row, pick))
          .finish(),
      )
      const writer = { descriptor: encodeDescriptor(fields).toString('base64'), defaults: {} }
      const schema = tableFields(fields)
      const plan = compilePlan(Buffer.from(writer.descriptor, 'base64'), layoutOf(schema), {}, Date.now)
      const checked = checkRows(Buffer.concat(entries), plan)
      assert.equal(checked.kind, 'good')
      if (checked.kind !== 'good') return
      const builder = new BatchBuilder(schema)
      builder.add(record(checked.body, checked.rows), builder.plan(writer), 'test')
      const file = join(tmp, `${++files}.parquet`)
      await builder.write(file)
      const read = await connection.runAndReadAll('SELECT * FROM read_parquet($1)', [file])
      rmSync(file)
      assert.deepEqual(
        read.getRowObjectsJson(),
        rows.map((row) => expected(fields, row)),
      )
    }),
    { numRuns: 300 },
  )
  connection.closeSync()
})

test('bytes that are no row are refused, and never anything else than refused', () => {
  fc.assert(
    fc.property(anyFields, fc.uint8Array({ maxLength: 60 }), (fields, bytes) => {
      const plan = compilePlan(encodeDescriptor(fields), layoutOf(tableFields(fields)), {}, Date.now)
      const entry = Buffer.from(protobuf.Writer.create().uint32(10).bytes(bytes).finish())
      const checked = checkRows(entry, plan)
      if (checked.kind !== 'good') return
      // What was taken must go through take-up.
      const builder = new BatchBuilder(tableFields(fields))
      const writer = { descriptor: encodeDescriptor(fields).toString('base64'), defaults: {} }
      builder.add(record(checked.body, checked.rows), builder.plan(writer), 'test')
      assert.equal(builder.rows, 1)
    }),
    { numRuns: 1_000 },
  )
})
