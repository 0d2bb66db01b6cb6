import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import protobuf from 'protobufjs'
import { loadSchema } from '../schema/index.ts'
import { type CodecRoute, compileRoute, RowBuffer } from './index.ts'

const SCHEMA = `
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
message Visit {
  int64 user_id = 1;
  string country = 2;
  repeated int32 codes = 3;
  map<string, int64> counts = 4;
  Kind kind = 5;
  google.protobuf.Timestamp at = 6;
  Item item = 7;
  repeated Item items = 8;
  oneof choice { string left = 9; Item right = 10; }
  optional double score = 11;
  sint64 delta = 12;
  fixed64 mark = 13;
  google.protobuf.Int32Value maybe = 14;
  bool flag = 15;
  bytes blob = 16;
  uint64 big = 300;
}
message Item { string name = 1; uint32 amount = 2; }
enum Kind { NONE = 0; VIEW = 1; }
`

const ORIGIN = {
  source: 'abc',
  position: 1,
  size: 2,
  kafkaTopic: 't',
  kafkaPartition: 0,
  kafkaOffset: 7,
  ingestedAtMicros: 1_700_000_000_000_000,
}

function visit(t: { after(fn: () => void): void }, format: 'json' | 'protobuf') {
  const directory = mkdtempSync(join(tmpdir(), 'codec-'))
  t.after(() => rmSync(directory, { recursive: true }))
  writeFileSync(join(directory, 'visit.proto'), SCHEMA)
  const record = loadSchema('visit.proto#shop.Visit', directory)
  const route: CodecRoute = { name: 'visits', format, unknown: 'keep', metadata: 'millrace', convert: {} }
  return compileRoute(route, record)
}

function typeOf(): protobuf.Type {
  const root = new protobuf.Root()
  protobuf.parse(SCHEMA, root, { keepCase: true })
  for (const name of ['timestamp', 'wrappers']) {
    root.addJSON(protobuf.common.get(`google/protobuf/${name}.proto`)?.nested ?? {})
  }
  return root.lookupType('shop.Visit')
}

test('the JSON form and the protobuf form of a message give the same row', (t) => {
  const message = {
    user_id: 5,
    country: 'DE',
    codes: [1, -2, 300],
    counts: { a: 1, b: -1 },
    kind: 1,
    at: { seconds: 1_700_000_000, nanos: 123_456_789 },
    item: { name: 'x' },
    items: [{ amount: 4 }, { name: 'é', amount: 4_000_000_000 }],
    right: { name: 'r' },
    score: -0.5,
    delta: -7,
    maybe: { value: -1 },
    blob: Buffer.from([1, 2, 255]),
  }
  const json = {
    userId: '5',
    country: 'DE',
    codes: [1, -2, 300],
    counts: { a: '1', b: -1 },
    kind: 'VIEW',
    at: '2023-11-14T22:13:20.123456789Z',
    item: { name: 'x' },
    items: [{ amount: 4 }, { name: 'é', amount: 4_000_000_000 }],
    right: { name: 'r' },
    score: -0.5,
    delta: -7,
    maybe: -1,
    blob: 'AQL/',
  }
  const wire = Buffer.from(typeOf().encode(message).finish())
  const text = Buffer.from(JSON.stringify(json))
  const fromWire = new RowBuffer(64)
  const fromText = new RowBuffer(64)
  assert.equal(visit(t, 'protobuf').encode(wire, 0, wire.length, ORIGIN, fromWire), undefined)
  assert.equal(visit(t, 'json').encode(text, 0, text.length, ORIGIN, fromText), undefined)
  assert.equal(fromWire.slice().toString('hex'), fromText.slice().toString('hex'))
})
