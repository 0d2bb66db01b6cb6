import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { UserError } from '../errors.ts'
import { type DescriptorProto, descriptorOf, loadSchema, tableFields, withMetadata } from './index.ts'

type Context = { after(fn: () => void): void }

function folder(t: Context, files: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'schema-'))
  t.after(() => rmSync(directory, { recursive: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
  return directory
}

function refused(t: Context, files: Readonly<Record<string, string>>, reference: string, pattern: RegExp): void {
  const directory = folder(t, files)
  assert.throws(
    () => loadSchema(reference, directory),
    (error) => error instanceof UserError && pattern.test(error.message),
  )
}

const PROTO = `
syntax = "proto3";
package shop;
import "bq_field.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/struct.proto";
import "google/type/date.proto";
import "item.proto";
message Visit {
  int64 id = 1 [(gen_bq_schema.bigquery) = { require: true description: "who" }];
  uint64 mark = 2;
  google.protobuf.Timestamp at = 3;
  google.protobuf.Struct data = 4;
  google.type.Date day = 5;
  repeated Item items = 6;
  map<string, int32> counts = 7;
  Visit parent = 8;
  string secret = 9 [(gen_bq_schema.bigquery).ignore = true];
  int64 seen = 10 [(gen_bq_schema.bigquery).type_override = "TIMESTAMP", (gen_bq_schema.bigquery).name = "seen_at"];
}
`
const ITEM = 'syntax = "proto3"; package shop; message Item { string name = 1; Kind kind = 2; enum Kind { NONE = 0; } }'

test('a message becomes columns', (t) => {
  const directory = folder(t, { 'visit.proto': PROTO, 'item.proto': ITEM })
  const fields = tableFields(loadSchema('visit.proto#shop.Visit', directory))
  const text = (name: string, type: string, mode = 'NULLABLE') => ({ name, type, mode })
  assert.deepEqual(fields, [
    { ...text('id', 'INTEGER', 'REQUIRED'), description: 'who' },
    text('mark', 'NUMERIC'),
    text('at', 'TIMESTAMP'),
    text('data', 'JSON'),
    text('day', 'DATE'),
    { ...text('items', 'RECORD', 'REPEATED'), fields: [text('name', 'STRING'), text('kind', 'STRING')] },
    { ...text('counts', 'RECORD', 'REPEATED'), fields: [text('key', 'STRING'), text('value', 'INTEGER')] },
    text('parent', 'JSON'),
    text('seen_at', 'TIMESTAMP'),
  ])
})

test('a BigQuery schema keeps its attributes, in both forms of the file', (t) => {
  const columns = [
    { name: 'id', type: 'INT64', mode: 'REQUIRED' },
    { name: 'price', type: 'NUMERIC', precision: 10, scale: 2, defaultValueExpression: '0' },
    { name: 'tag', type: 'STRING', mode: 'REPEATED', maxLength: '7' },
    { name: 'at', type: 'STRUCT', fields: [{ name: 'x', type: 'float' }] },
  ]
  const files = { 'a.json': JSON.stringify(columns), 'b.json': JSON.stringify({ fields: columns }) }
  const directory = folder(t, files)
  const expected = [
    { name: 'id', type: 'INTEGER', mode: 'REQUIRED' },
    { name: 'price', type: 'NUMERIC', mode: 'NULLABLE', defaultValueExpression: '0', precision: '10', scale: '2' },
    { name: 'tag', type: 'STRING', mode: 'REPEATED', maxLength: '7' },
    { name: 'at', type: 'RECORD', mode: 'NULLABLE', fields: [{ name: 'x', type: 'FLOAT', mode: 'NULLABLE' }] },
  ]
  assert.deepEqual(tableFields(loadSchema('a.json', directory)), expected)
  assert.deepEqual(tableFields(loadSchema('b.json', directory)), expected)
})

test('a message knows its place in its own file', (t) => {
  const others = 'syntax = "proto3"; package shop; message First {} message Second {}'
  const own = `syntax = "proto3"; package shop; import "others.proto"; enum E { ZERO = 0; } message A { First f = 1; }
    message B { map<int32, A> m = 1; message C { int32 n = 1; } message D { int32 n = 1; } int32 n = 2; }`
  const directory = folder(t, { 'others.proto': others, 'own.proto': own })
  const placeOf = (name: string) => loadSchema(`own.proto#shop.${name}`, directory).indexes
  assert.deepEqual(['A', 'B', 'B.C', 'B.D'].map(placeOf), [[0], [1], [1, 0], [1, 1]])
})

test('metadata and extra get numbers of their own', (t) => {
  const directory = folder(t, { 'visit.proto': PROTO, 'item.proto': ITEM })
  const row = withMetadata(loadSchema('visit.proto#shop.Visit', directory), 'millrace', true)
  const numbers = descriptorOf(row).field.map((field) => field.number)
  assert.deepEqual(numbers.slice(-2), [11, 12])
})

test('mistakes are named', (t) => {
  const proto = (body: string) => ({ 'a.proto': `syntax = "proto3"; message A { ${body} }` })
  refused(t, {}, 'a.proto#A', /no such file/)
  refused(t, proto('int32 a = 1;'), 'a.proto#B', /has no message B/)
  refused(t, proto('int32 a = 1;'), 'a.proto', /names no message/)
  refused(t, proto('int32 a = 1; int32 A = 2;'), 'a.proto#A', /differ in case only/)
  refused(t, proto('int32 _table_x = 1;'), 'a.proto#A', /reserves/)
  refused(t, proto('Missing m = 1;'), 'a.proto#A', /Missing/)
  refused(t, { 'a.proto': 'import "b.proto";' }, 'a.proto#A', /imports b.proto/)
  refused(t, { 'a.json': '{' }, 'a.json', /JSON/)
  refused(t, { 'a.json': '[]' }, 'a.json', /no columns/)
  refused(t, { 'a.json': '[{"name":"a","type":"BLOB"}]' }, 'a.json', /BLOB/)
  for (const [limits, wrong] of [
    [{ type: 'INT64', maxLength: 3 }, /maxLength 3/],
    [{ type: 'STRING', maxLength: 0 }, /maxLength 0/],
    [{ type: 'STRING', precision: 3 }, /precision 3/],
    [{ type: 'NUMERIC', scale: 2 }, /scale 2/],
    [{ type: 'NUMERIC', precision: 'x' }, /precision x/],
    [{ type: 'NUMERIC', precision: 30 }, /precision 30/],
    [{ type: 'NUMERIC', precision: 2, scale: 3 }, /precision 2/],
    [{ type: 'BIGNUMERIC', precision: 50, scale: 39 }, /scale 39/],
  ] as const)
    refused(t, { 'a.json': JSON.stringify([{ name: 'a', ...limits }]) }, 'a.json', wrong)
})

test('no two messages of a descriptor have the same name, at any depth', (t) => {
  const inner = (name: string) => ({ name, type: 'RECORD', fields: [{ name: 'x', type: 'STRING' }] })
  const columns = [inner('a'), { name: 'b', type: 'RECORD', fields: [inner('a'), inner('c')] }]
  const directory = folder(t, { 'a.json': JSON.stringify(columns) })
  const names = (type: DescriptorProto): string[] => [type.name, ...(type.nestedType ?? []).flatMap(names)]
  const all = names(descriptorOf(loadSchema('a.json', directory)))
  assert.deepEqual(all, ['Row', 'Row_1', 'Row_2', 'Row_2_1', 'Row_2_2'])
})
