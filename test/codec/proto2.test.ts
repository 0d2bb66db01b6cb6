import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileRoute, RowBuffer } from '../../shared/codec/index.ts'
import { recordFromMessage } from '../../shared/schema/proto.ts'
import { rootOf } from '../support/random-messages.ts'
import { decodeRows, NOWHERE, routeOf } from '../support/rows.ts'

// What proto2 and editions have beside proto3: groups, extensions, required fields, defaults, encodings by choice.

const PROTO2 = `syntax = "proto2"; package t;
message A {
  required int32 id = 1; optional string s = 2 [default = "not a column's default"];
  repeated group Item = 3 { required int32 x = 1; optional string y = 2; }
  optional group One = 4 { optional One again = 1; optional int32 n = 2; }
  repeated int32 packed = 5 [packed = true]; repeated int32 unpacked = 6;
  repeated sint64 zigzag = 7 [packed = true]; repeated fixed32 fixed = 8; optional E e = 9 [default = TWO];
  extensions 100 to 199;
}
enum E { ONE = 1; TWO = 2; }
message Other { optional int32 n = 1; extend A { optional Other nested = 102; } }
extend A { optional int32 ext_num = 100; repeated Other ext_others = 101; }`

function reader(message: string, source: string) {
  const type = rootOf(source).lookupType(message)
  const record = recordFromMessage(type, 'test')
  const codecs = (['protobuf', 'json'] as const).map((format) =>
    compileRoute(routeOf({ format, unknown: 'keep' }), record),
  )
  return (...forms: [wire: Buffer, json: object]) => {
    const rows = [forms[0], Buffer.from(JSON.stringify(forms[1]))].map((event, index) => {
      const codec = codecs[index]
      assert.ok(codec)
      const out = new RowBuffer(64)
      const rejection = codec.encode(event, 0, event.length, NOWHERE, out)
      // Paths from protobuf name no place in an array.
      if (rejection) return `${rejection.reason} ${rejection.field?.replace(/\[\d+\]/, '')}`
      const { millrace: _, ...row } = decodeRows(codec, out)[0] ?? {}
      return row
    })
    assert.deepEqual(rows[0], rows[1], 'both forms give the same row')
    return rows[0]
  }
}

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

test('groups, extensions, required fields, packed and not', () => {
  const read = reader('t.A', PROTO2)
  assert.deepEqual(read(hex('0801'), { id: 1 }), { id: '1' })
  assert.equal(read(hex('1200'), { s: '' }), 'missing_required id')
  // Groups between their tags, with a group inside.
  assert.deepEqual(
    read(hex('0801 1b 0802 120161 1c 1b 0803 1c 23 1005 0a021007 24'), {
      id: 1,
      item: [{ x: 2, y: 'a' }, { x: 3 }],
      one: { n: 5, again: { n: 7 } },
    }),
    { id: '1', item: [{ x: '2', y: 'a' }, { x: '3' }], one: { again: '{"n":7}', n: '5' } },
  )
  assert.equal(read(hex('0801 1b 120161 1c'), { id: 1, item: [{ y: 'a' }] }), 'missing_required item.x')
  // One way or the other on the wire, and both mixed.
  const lists = { id: 1, packed: [1, 2, 3], unpacked: [4, 5, 6], zigzag: ['-1', '1'], fixed: [7, 8] }
  const read_ = { id: '1', packed: ['1', '2', '3'], unpacked: ['4', '5', '6'], zigzag: ['-1', '1'], fixed: ['7', '8'] }
  assert.deepEqual(read(hex('0801 2a03010203 30043005 3006 3a020102 4507000000 4508000000'), lists), read_)
  assert.deepEqual(read(hex('0801 2801 2a020203 3203040506 3801 3802 42080700000008000000'), lists), read_)
  // Extensions are columns by their own name; in JSON they go by their full name in brackets.
  assert.deepEqual(
    read(hex('0801 a00601 aa06020802 aa0600 b206020803'), {
      id: 1,
      '[t.ext_num]': 1,
      '[t.ext_others]': [{ n: 2 }, {}],
      '[t.Other.nested]': { n: 3 },
    }),
    { id: '1', ext_num: '1', ext_others: [{ n: '2' }, {}], nested: { n: '3' } },
  )
})

test('broken groups are refused', () => {
  const type = rootOf(PROTO2).lookupType('t.A')
  const codec = compileRoute(routeOf({ format: 'protobuf' }), recordFromMessage(type, 'test'))
  for (const [wire, reason] of [
    ['0801 1b 0802', 'wire_format'],
    ['0801 1b 0802 24', 'wire_format'],
    ['0801 1c', 'wire_format'],
    ['0801 1b 0802 1c 1c', 'wire_format'],
    [`0801 ${'23 0b '.repeat(200)}`, 'wire_format'],
  ] as const) {
    const event = hex(wire)
    assert.equal(codec.encode(event, 0, event.length, NOWHERE, new RowBuffer(64))?.reason, reason, wire)
  }
})

test('editions: presence and encoding by feature', () => {
  const source = `edition = "2023"; package t;
    message A { int32 there = 1; int32 implied = 2 [features.field_presence = IMPLICIT]; B b = 3 [features.message_encoding = DELIMITED];
      repeated int32 loose = 4 [features.repeated_field_encoding = EXPANDED]; int32 must = 5 [features.field_presence = LEGACY_REQUIRED]; }
    message B { int32 n = 1; }`
  const read = reader('t.A', source)
  assert.deepEqual(read(hex('2801'), { must: 1 }), { implied: '0', must: '1' })
  assert.equal(read(hex('0801'), { there: 1 }), 'missing_required must')
  assert.deepEqual(read(hex('2801 1b 0807 1c 2001 2002'), { must: 1, b: { n: 7 }, loose: [1, 2] }), {
    implied: '0',
    must: '1',
    b: { n: '7' },
    loose: ['1', '2'],
  })
})
