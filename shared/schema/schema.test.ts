import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { UserError } from '../errors.ts'
import { type DescriptorProto, descriptorOf, loadSchema, type TableField, tableFields, withMetadata } from './index.ts'

type Context = { after(fn: () => void): void }

function folder(t: Context, files: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'schema-'))
  t.after(() => rmSync(directory, { recursive: true }))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true })
    writeFileSync(join(directory, name), text)
  }
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

const TYPES: Readonly<Record<string, string>> = {
  ...{ INTEGER: 'INTEGER', int64: 'INTEGER', FLOAT: 'FLOAT', Float64: 'FLOAT', BOOLEAN: 'BOOLEAN', bool: 'BOOLEAN' },
  ...{ DECIMAL: 'NUMERIC', NUMERIC: 'NUMERIC', BIGDECIMAL: 'BIGNUMERIC', BIGNUMERIC: 'BIGNUMERIC' },
  ...{ STRING: 'STRING', BYTES: 'BYTES', DATE: 'DATE', TIME: 'TIME', DATETIME: 'DATETIME', TIMESTAMP: 'TIMESTAMP' },
  ...{ JSON: 'JSON', GEOGRAPHY: 'GEOGRAPHY', INTERVAL: 'INTERVAL' },
}

test('every name of a type and of a mode is known', (t) => {
  const columns = Object.keys(TYPES).map((type, index) => ({ name: `c${index}`, type, mode: 'required' }))
  const records = ['RECORD', 'Struct'].map((type) => ({
    name: type,
    type,
    mode: 'Repeated',
    fields: columns.slice(0, 1),
  }))
  const directory = folder(t, {
    'a.json': JSON.stringify([...columns, ...records, { name: 'x', type: 'DATE', mode: null }]),
  })
  const fields = tableFields(loadSchema('a.json', directory))
  assert.deepEqual(
    fields.map(({ type, mode }) => `${type} ${mode}`),
    [...Object.values(TYPES).map((type) => `${type} REQUIRED`), 'RECORD REPEATED', 'RECORD REPEATED', 'DATE NULLABLE'],
  )
})

test("BigQuery's limits: 10,000 columns with those that Millrace adds, 15 records deep", (t) => {
  const wide = (count: number) =>
    JSON.stringify(Array.from({ length: count }, (_, n) => ({ name: `c${n}`, type: 'DATE' })))
  const deep = (depth: number): object =>
    depth === 0 ? { name: 'x', type: 'DATE' } : { name: 'r', type: 'RECORD', fields: [deep(depth - 1)] }
  const nested = (depth: number) =>
    Array.from({ length: depth }, (_, n) => `message M${n} { ${n + 1 < depth ? `M${n + 1} r = 1; ` : ''}int32 x = 2; }`)
  const directory = folder(t, {
    'wide.json': wide(9991),
    'wider.json': wide(9992),
    'deep.json': JSON.stringify([deep(15)]),
    'deep.proto': `syntax = "proto3"; ${nested(20).join(' ')}`,
  })
  // The metadata column has seven in it.
  assert.equal(withMetadata(loadSchema('wide.json', directory), 'millrace', true).fields.length, 9993)
  assert.throws(() => withMetadata(loadSchema('wider.json', directory), 'millrace', true), /10001 columns/)
  assert.throws(() => withMetadata(loadSchema('deep.json', directory), '_table_x', false), /reserves/)
  assert.equal(loadSchema('deep.json', directory).fields.length, 1)
  refused(t, { 'a.json': wide(10_001) }, 'a.json', /10001 columns/)
  refused(t, { 'a.json': JSON.stringify([deep(16)]) }, 'a.json', /deeper than 15/)
  // A message that is deeper is JSON from there on.
  let columns = tableFields(loadSchema('deep.proto#M0', directory))
  for (let level = 1; level <= 15; level++) {
    assert.equal(columns[0]?.type, 'RECORD')
    columns = [...(columns[0]?.fields ?? [])]
  }
  assert.deepEqual([columns[0]?.name, columns[0]?.type], ['r', 'JSON'])
})

test('every option of protoc-gen-bq-schema that says something about a column', (t) => {
  const source = `syntax = "proto3"; import "bq_field.proto"; import "bq_table.proto";
    message A { option (gen_bq_schema.bigquery_opts) = { table_name: "t" use_json_names: true };
      string first_name = 1 [(gen_bq_schema.bigquery) = { require: true, description: "who", policy_tags: "tag" }];
      string last_name = 2 [(gen_bq_schema.bigquery).name = "family", (gen_bq_schema.bigquery).default_value_expression = "'x'"];
      int64 seen = 3 [(gen_bq_schema.bigquery).type_override = "timestamp"]; // when
      string secret = 4 [(gen_bq_schema.bigquery) = { ignore: true }];
      B all_ignored = 5; }
    message B { int32 n = 1 [(gen_bq_schema.bigquery).ignore = true]; }`
  const directory = folder(t, { 'a.proto': source })
  const text = (name: string, type: string, mode = 'NULLABLE') => ({ name, type, mode })
  const record = loadSchema('a.proto#A', directory)
  assert.deepEqual(tableFields(record), [
    { ...text('firstName', 'STRING', 'REQUIRED'), description: 'who', policyTags: { names: ['tag'] } },
    { ...text('family', 'STRING'), defaultValueExpression: "'x'" },
    { ...text('seen', 'TIMESTAMP'), description: 'when' },
  ])
  assert.deepEqual(
    record.ignored.map(({ number }) => number),
    [4, 5],
  )
  const override = (type: string, to: string) =>
    `syntax = "proto3"; message A { ${type} a = 1 [(gen_bq_schema.bigquery).type_override = "${to}"]; }`
  refused(t, { 'a.proto': override('string', 'BLOB') }, 'a.proto#A', /type_override BLOB is no type/)
  refused(t, { 'a.proto': override('bytes', 'DATE') }, 'a.proto#A', /type_override DATE is not possible for bytes/)
})

test('imports are found beside the file and above it, public ones are passed on', (t) => {
  const directory = folder(t, {
    'top.proto': 'syntax = "proto3"; package top; message Top { int32 n = 1; }',
    'deep/a.proto': 'syntax = "proto3"; import "deep/b.proto"; message A { top.Top t = 1; B b = 2; }',
    'deep/b.proto': 'syntax = "proto3"; import public "top.proto"; import "c.proto"; message B { C c = 1; }',
    'deep/c.proto': 'syntax = "proto3"; import "deep/b.proto"; message C { int32 n = 1; B again = 2; }',
  })
  const names = (fields: readonly TableField[]): string[] =>
    fields.flatMap(({ name, type, fields = [] }) => [
      `${name} ${type}`,
      ...names(fields).map((inner) => `${name}.${inner}`),
    ])
  assert.deepEqual(names(tableFields(loadSchema('deep/a.proto#A', directory))), [
    ...['t RECORD', 't.n INTEGER', 'b RECORD', 'b.c RECORD', 'b.c.n INTEGER', 'b.c.again JSON'],
  ])
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
  const reserved = [
    '_TABLE_',
    '_File_x',
    '_partition',
    '_PARTITIONTIME',
    '_ROW_TIMESTAMP',
    '__ROOT__',
    '_COLIDENTIFIER',
  ]
  for (const name of [...reserved, '_CHANGE_TYPE', '_CHANGE_SEQUENCE_NUMBER'])
    refused(t, proto(`int32 ${name} = 1;`), 'a.proto#A', /reserves/)
  const inner = [
    { name: 'x', type: 'DATE' },
    { name: 'X', type: 'DATE' },
  ]
  refused(
    t,
    { 'a.json': JSON.stringify([{ name: 'r', type: 'RECORD', fields: inner }]) },
    'a.json',
    /x and r.X differ in case/,
  )
  refused(t, { 'a.json': '[{"name":"a.b","type":"DATE"}]' }, 'a.json', /no column name/)
  refused(t, { 'a.json': JSON.stringify([{ name: 'x'.repeat(301), type: 'DATE' }]) }, 'a.json', /no column name/)
  refused(t, { 'a.json': '[{"name":"a","type":"DATE","mode":"OPTIONAL"}]' }, 'a.json', /mode OPTIONAL/)
  refused(t, { 'a.json': '[{"name":"a","type":"RECORD"}]' }, 'a.json', /has no columns/)
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
