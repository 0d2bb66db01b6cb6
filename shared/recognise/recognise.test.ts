import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UserError } from '../errors.ts'
import { recognise } from './index.ts'

const lines = (...events: (string | object)[]) =>
  events.map((event) => Buffer.from(typeof event === 'string' ? event : JSON.stringify(event)))
const look = (events: readonly (string | object)[], required = false) =>
  recognise(lines(...events), { where: 'x.log', required })

/** `name TYPE`, with the mode when it is not NULLABLE, and what is inside. */
function columns(fields: readonly object[]): unknown[] {
  return (fields as { name: string; type: string; mode: string; fields?: object[] }[]).map((field) => {
    const text = `${field.name} ${field.type}${field.mode === 'NULLABLE' ? '' : ` ${field.mode}`}`
    return field.fields ? [text, ...columns(field.fields)] : text
  })
}
const schemaOf = (events: readonly object[]) => columns(look(events).fields)
const typeOf = (...values: string[]) => columns(look(values.map((value) => `{"x":${value}}`)).fields)[0]

const COMMON = '::1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5'

test('each kind is recognised, also when some lines are of none', () => {
  const kinds = {
    json: ['{"a":1}', ' {"a":2} ', 'no json'],
    common: [COMMON, COMMON, '-'],
    combined: [`${COMMON} "-" "curl"`, `${COMMON} "-" "x y"`],
    logfmt: ['a=1 b="x y" c=', 'a=2 flag b=x'],
  }
  for (const [kind, events] of Object.entries(kinds)) assert.equal(look(events).kind, kind)
})

test('what is of no kind is refused', () => {
  const refused = (events: string[], message: RegExp) =>
    assert.throws(
      () => look(events),
      (error) => error instanceof UserError && message.test(`${error.message} ${error.fix}`),
    )
  refused([], /x.log: has no lines/)
  refused(['Mar  1 00:00:00 host sshd[1]: hello', 'just words here'], /neither JSON lines/)
  refused(['{', '  "a": 1', '}'], /one JSON object a line/)
  refused(['[1]', '"text"', '7'], /neither JSON lines/)
  refused(['{"@x":1}'], /no key/)
})

test('an access log has its own schema', () => {
  assert.deepEqual(look([COMMON]), {
    kind: 'common',
    fields: [],
    partition: { field: 'time', by: 'day' },
    cluster: ['status'],
  })
})

test('the types of values', () => {
  const cases: [values: string[], column: string][] = [
    [['1', '-2'], 'x INT64'],
    [['1', '1.5'], 'x FLOAT64'],
    [['1', '2.0'], 'x FLOAT64'],
    [['9223372036854775807'], 'x INT64'],
    [['9223372036854775808', '1'], 'x NUMERIC'],
    [['1234567890123456789012345678901234567890'], 'x FLOAT64'],
    [['true', 'null'], 'x BOOL'],
    [['"a"', '"2024-01-02"'], 'x STRING'],
    [['"2024-01-02"'], 'x DATE'],
    [['"2024-01-02T03:04:05Z"', '"2024-01-02 03:04:05.123+01:00"'], 'x TIMESTAMP'],
    [['"2024-01-02T03:04:05"'], 'x DATETIME'],
    [['"2024-01-02T03:04:05Z"', '"2024-01-02T03:04:05"'], 'x STRING'],
    [['"12"', '12'], 'x JSON'],
    [['1', 'true'], 'x JSON'],
    [['1', '{"a":1}'], 'x JSON'],
    [['null'], 'x JSON'],
    [['{}'], 'x JSON'],
    [['[1]', '[]', '[2]'], 'x INT64 REPEATED'],
    [['[1]', '[1.5]'], 'x FLOAT64 REPEATED'],
    [['[]'], 'x JSON'],
    [['[1,null]'], 'x JSON'],
    [['[1,"a"]'], 'x JSON'],
    [['[[1]]'], 'x JSON'],
    [['[1]', '1'], 'x JSON'],
  ]
  for (const [values, column] of cases) assert.equal(typeOf(...values), column, values.join(' '))
})

test('an integer is a moment when its name and all its values say so', () => {
  const at = 1446249499322
  assert.deepEqual(schemaOf([{ created_at: at, load_time: at * 1000, ts: 1446249499, took_time: 7, id: at }]), [
    'created_at TIMESTAMP',
    'load_time TIMESTAMP',
    'ts TIMESTAMP',
    'took_time INT64',
    'id INT64',
  ])
  assert.deepEqual(schemaOf([{ at }, { at: 0 }]), ['at INT64'])
})

test('records, and objects whose keys are data', () => {
  const responses = { '1xx': 0, '2xx': 5, total: 5 }
  const events = [
    { user: { name: 'a', tags: ['x'] }, zones: { 'hg.nginx.org': { n: 1 } }, responses, peers: [{ id: 1, responses }] },
    { user: { name: 'b', age: 1, 'a-b': 2 }, zones: {}, responses, peers: [] },
  ]
  assert.deepEqual(schemaOf(events), [
    ['user RECORD', 'name STRING', 'tags STRING REPEATED', 'age INT64'],
    'zones JSON',
    'responses JSON',
    ['peers RECORD REPEATED', 'id INT64', 'responses JSON'],
  ])
  assert.equal(typeOf('[{"a":1,"b-c":2,"d":3,"e":4}]'), 'x JSON', 'a path into an array has no index')
})

test('keys that change from event to event are data, too', () => {
  const byUser = Array.from({ length: 40 }, (_, n) => ({ seen: { [`u${n}`]: n }, same: { a: n, b: n } }))
  assert.deepEqual(schemaOf(byUser), ['seen JSON', ['same RECORD', 'a INT64', 'b INT64']])
})

test('keys that can be no column are left to extra', () => {
  const event = { ok: 1, '@x': 1, 'a b': 1, _table_x: 1, extra: 1, Millrace: 1 }
  assert.deepEqual(schemaOf([event, { OK: 2, both: 1, BOTH: 1 }]), ['ok INT64'])
})

test('nesting ends in JSON before BigQuery refuses it', () => {
  let event: object = { x: 1 }
  for (let depth = 0; depth < 40; depth++) event = { x: event }
  const text = JSON.stringify(schemaOf([event]))
  assert.equal(text.match(/RECORD/g)?.length, 14)
  assert.match(text, /x JSON/)
})

test('REQUIRED only when asked for, and only what every event has', () => {
  const events = [
    { a: 1, b: 1, c: null, tags: ['x'], o: { p: 1, q: 1 } },
    { a: 1, c: 1, tags: ['y'], o: { p: 1 } },
  ]
  assert.doesNotMatch(JSON.stringify(look(events)), /REQUIRED/)
  assert.deepEqual(columns(look(events, true).fields), [
    'a INT64 REQUIRED',
    'b INT64',
    'c INT64',
    'tags STRING REPEATED',
    ['o RECORD REQUIRED', 'p INT64 REQUIRED', 'q INT64'],
  ])
})

test('the time field: most present, then the likeliest name; none: by ingestion', () => {
  const at = '2024-01-02T03:04:05Z'
  const partitionOf = (...events: object[]) => look(events).partition
  assert.deepEqual(partitionOf({ load_timestamp: at, timestamp: at }), { field: 'timestamp', by: 'day' })
  assert.deepEqual(partitionOf({ time: at, seen: at }, { seen: at }), { field: 'seen', by: 'day' })
  assert.deepEqual(partitionOf({ a: 1 }), { by: 'day' })
})

test('clustered by texts of few values', () => {
  const events = Array.from({ length: 10 }, (_, n) => ({
    id: `i${n}`,
    country: n % 2 ? 'DE' : 'FR',
    same: 'x',
    s: n % 3,
  }))
  assert.deepEqual(look(events).cluster, ['country'])
})

test('logfmt: types by what the texts look like, mixed ones are text', () => {
  const { fields } = look([
    't=2024-01-02T03:04:05Z n=1 f=1.5 ok s="a b" m=1 e=',
    't=2024-01-02T03:04:06Z n=2 f=2 ok=false s=x m=a',
  ])
  assert.deepEqual(columns(fields), [
    't TIMESTAMP',
    'n INT64',
    'f FLOAT64',
    'ok BOOL',
    's STRING',
    'm STRING',
    'e STRING',
  ])
})
