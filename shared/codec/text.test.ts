import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeRows, NOWHERE, routeOf } from '../../test/support/rows.ts'
import { UserError } from '../errors.ts'
import { recordFromTableSchema } from '../schema/bigquery.ts'
import { type CodecRoute, compileRoute, RowBuffer } from './index.ts'
import { checkPattern } from './pattern-check.ts'

const RECORD = recordFromTableSchema(
  [
    { name: 'at', type: 'TIMESTAMP' },
    { name: 'level', type: 'STRING', mode: 'REQUIRED' },
    { name: 'count', type: 'INT64' },
    { name: 'took', type: 'FLOAT64' },
    { name: 'ok', type: 'BOOL' },
    { name: 'msg', type: 'STRING' },
  ],
  'lines',
  'test',
)

function reader(route: Partial<CodecRoute>) {
  const codec = compileRoute(routeOf({ format: 'text', ...route }), RECORD)
  return (line: string) => {
    const out = new RowBuffer(64)
    const bytes = Buffer.from(line)
    const rejection = codec.encode(bytes, 0, bytes.length, NOWHERE, out)
    if (rejection) return rejection.reason + (rejection.field ? ` ${rejection.field}` : '')
    const [row] = decodeRows(codec, out)
    delete row?.['millrace']
    return row
  }
}

test('logfmt', () => {
  const read = reader({ preset: 'logfmt' })
  assert.deepEqual(read('at=2024-01-02T03:04:05Z level=info count=7 took=0.5 ok msg="two \\"words\\"" more="x" n=1'), {
    at: '1704164645000000',
    level: 'info',
    count: '7',
    took: 0.5,
    ok: true,
    msg: 'two "words"',
    extra: '{"more":"x","n":"1"}',
  })
  assert.deepEqual(read('level= count= msg=a=b'), { level: '', msg: 'a=b' })
  assert.equal(read('count=1'), 'missing_required level')
  assert.equal(read('level=a level=b'), 'duplicate_field level')
  assert.equal(read('level=a count=x'), 'invalid_value count')
  for (const line of ['', '  ', '=x', 'level="open', 'level="a"b', '"level"=a'])
    assert.equal(read(line), 'no_match', line)
})

test('a pattern of named groups', () => {
  const read = reader({
    pattern: '(?<at>[^ ]+ [^ ]+) \\[(?<level>\\w+)\\] (?<count>\\S+) (?<msg>.*)',
    convert: {
      at: { type: 'timestamp', format: '%d/%b/%Y %H:%M:%S.%f', zone: '+01:00' },
      count: { type: 'int', null_marker: '-' },
    },
  })
  assert.deepEqual(read('02/Jan/2024 03:04:05.25 [warn] 12 é = ü'), {
    at: '1704161045250000',
    level: 'warn',
    count: '12',
    msg: 'é = ü',
  })
  assert.deepEqual(read('02/Jan/2024 03:04:05.25 [warn] - '), { at: '1704161045250000', level: 'warn', msg: '' })
  assert.equal(read('02/Jan/2024 03:04:05 [warn] - '), 'invalid_value at')
  assert.equal(read('31/Feb/2024 03:04:05.1 [warn] - '), 'invalid_value at')
  assert.equal(read('nonsense'), 'no_match')
  assert.equal(read(`${'x'.repeat(65_536)}y`), 'line_too_long')
})

test('patterns that could take for ever are refused, others not', () => {
  for (const bad of [
    '(a+)+',
    '(?:.*)*',
    '.*.*x',
    '(?:a|a)*',
    'a*a*|(.*)',
    '(a?b?)*',
    '\\d+\\w+',
    '(?=a)b',
    '(a)\\1',
    '[^ ]* ?[^ ]*x',
    '(?:a{1,30}){1,30}b',
    '(?:a?){25}a{25}b',
    '(?:a|aa){1,30}b',
    '(?:a*b?){1,20}c',
    'a{1,32}a{1,32}a{1,32}b',
    '\\u0061*',
    '\\p{L}',
  ]) {
    assert.ok(checkPattern(bad), bad)
  }
  for (const good of [
    '(\\S+) (\\S+) \\[([^\\]]+)\\] "([^"]*)" (\\d{3}) (.*)',
    'a*b*',
    '^(?<at>\\S+ \\S+) (?<level>\\w+) (?<message>[^]*)$',
    '(?<logger>\\S+)\\s*-\\s*(.*)',
    '(?:\\S+ )*',
    '(?:[^"\\\\]|\\\\.)*"',
    '(?<at>[\\d:. -]+) (?<msg>.*)',
    '(?<k>\\w+)=(?<v>\\w+)(?:,\\w+=\\w+)*',
    '(?:ab|cd)*',
    '\\d{1,3}\\.\\d{1,3}',
    '[^|]*\\|[^|]*',
    '(?:x|y)+z',
    '(?:\\d{1,3}\\.){3}\\d{1,3}(?: (?:-|\\w+)){1,20}',
    '(?:(?<a>\\d+)|-) (?:(?<b>\\d+)|-) (?:"(?<c>[^"]*)"|-)(?: x)?(?: y)?',
  ]) {
    assert.equal(checkPattern(good), undefined, good)
  }
})

test('mistakes of a text route are named', () => {
  const compile = (route: Partial<CodecRoute>) => () => compileRoute(routeOf({ format: 'text', ...route }), RECORD)
  const named = (pattern: RegExp) => (error: unknown) => error instanceof UserError && pattern.test(error.message)
  assert.throws(compile({ pattern: '(?<nothing>.*)' }), named(/no column for the group nothing/))
  assert.throws(compile({ pattern: '.*' }), named(/no named group/))
  assert.throws(compile({ pattern: '(?<msg>(' }), named(/pattern/))
  assert.throws(compile({ pattern: '(?<msg>.*)', convert: { level: { type: 'int' } } }), named(/names no group/))
  assert.throws(compile({ pattern: '(?<msg>.*)', convert: { msg: { type: 'int' } } }), named(/gives INT64/))
  assert.throws(compile({ pattern: '(?<at>.*)', convert: { at: { type: 'timestamp', format: '%Q %Y' } } }), named(/%Q/))
  assert.throws(
    compile({ pattern: '(?<msg>.*)', convert: { msg: { type: 'string', format: '%Y' } } }),
    named(/is STRING/),
  )
  assert.throws(
    compile({ pattern: '(?<at>.*)', convert: { at: { type: 'timestamp', zone: 'Europe/Berlin' } } }),
    named(/a zone needs a format/),
  )
})
