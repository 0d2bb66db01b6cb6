import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rootOf } from '../../test/support/random-messages.ts'
import { decodeRows, NOWHERE, routeOf } from '../../test/support/rows.ts'
import { recordFromTableSchema } from '../schema/bigquery.ts'
import { recordFromMessage } from '../schema/proto.ts'
import { type CodecRoute, compileRoute, RowBuffer } from './index.ts'

const PROTO = `syntax = "proto3"; enum E { ZERO = 0; } message A { int32 n = 1; } message B { int32 n = 1; map<string, A> m = 2;
  message C { int32 n = 1; } message D { int32 n = 1; } } message F { int32 n = 1; }`
const HEAD = Buffer.from([0, 0, 0, 1, 200])

function reader(route: Partial<CodecRoute>, message?: string) {
  const record = message
    ? recordFromMessage(rootOf(PROTO).lookupType(message), 'test')
    : recordFromTableSchema([{ name: 'n', type: 'INT64' }], 'table', 'test')
  const codec = compileRoute(routeOf(route), record)
  return (...pieces: (Buffer | string)[]) => {
    const event = Buffer.concat(pieces.map((piece) => Buffer.from(piece as string)))
    const input = Buffer.concat([Buffer.from([0, 8, 2]), event, Buffer.from([8, 3])])
    const out = new RowBuffer(64)
    const rejection = codec.encode(input, 3, 3 + event.length, NOWHERE, out)
    if (rejection) return rejection.reason
    return decodeRows(codec, out)[0]?.['n']
  }
}

test('JSON: the head is taken off where the route allows it, and told where not', () => {
  const read = reader({ envelope: 'confluent' })
  assert.equal(read(HEAD, '{"n":1}'), '1')
  assert.equal(read('{"n":1}'), '1')
  assert.equal(read(HEAD.subarray(0, 4)), 'truncated')
  assert.equal(read(HEAD), 'truncated')
  assert.equal(read(HEAD, HEAD, '{"n":1}'), 'json_syntax')
  assert.equal(reader({})(HEAD, '{"n":1}'), 'confluent_envelope')
})

test('protobuf: the indexes must be those of the message', () => {
  const n7 = Buffer.from([8, 7])
  const route = { format: 'protobuf', envelope: 'confluent' } as const
  const list = (...indexes: number[]) => Buffer.from([indexes.length, ...indexes].map((n) => n * 2))
  for (const [message, own, ...others] of [
    ['A', list(0), list(1), list(0, 0), list(2)],
    ['B', list(1), list(), list(0), list(1, 0)],
    ['B.C', list(1, 0), list(1), list(1, 1), list()],
    ['B.D', list(1, 1), list(1, 0), list(0, 1)],
    ['F', list(2), list(), list(1)],
  ] as const) {
    const read = reader(route, message)
    assert.equal(read(HEAD, own, n7), '7', message)
    assert.equal(read(n7), '7', message)
    assert.equal(read(HEAD, own), '0', message)
    for (const other of others) assert.equal(read(HEAD, other, n7), 'other_message', message)
  }
  const read = reader(route, 'A')
  assert.equal(read(HEAD, list(), n7), '7', 'a single zero byte is the list [0]')
  assert.equal(read(''), '0', 'an empty message has no head')
  assert.equal(read(HEAD), 'wire_format')
  assert.equal(read(HEAD, Buffer.from([2, 0x80])), 'wire_format')
  assert.equal(reader({ format: 'protobuf' }, 'A')(HEAD, list(), n7), 'confluent_envelope')
})

test('text has no envelope', () => {
  assert.equal(reader({ format: 'text', pattern: '(?<n>[0-9]+)' })(HEAD, '1'), 'no_match')
})
