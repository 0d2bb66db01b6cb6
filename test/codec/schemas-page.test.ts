import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type CodecRoute, compileRoute, REASONS, ROW_BYTES_MAX, RowBuffer } from '../../shared/codec/index.ts'
import { strptime } from '../../shared/codec/strptime.ts'
import { LINE_BYTES_MAX, NESTING_MAX } from '../../shared/codec/walker.ts'
import { DEAD_REASONS } from '../../shared/framing/index.ts'
import {
  columnType,
  isPlainColumnName,
  type RecordType,
  recordFromTableSchema,
  tableFields,
} from '../../shared/schema/index.ts'
import { recordFromMessage } from '../../shared/schema/proto.ts'
import { COLUMNS_MAX, DEPTH_MAX } from '../../shared/schema/record.ts'
import { createRowReader } from '../../shared/trial/index.ts'
import { rootOf } from '../support/random-messages.ts'
import { NOWHERE, routeOf } from '../support/rows.ts'

// Every row of docs/reference/schemas.md that shows what comes of something is tried.

const PAGE = readFileSync(join(import.meta.dirname, '../../docs/reference/schemas.md'), 'utf8')

/** The rows of the table whose head begins with these cells. */
function table(...head: string[]): string[][] {
  const lines = PAGE.split('\n')
  const start = lines.findIndex((line) => line.startsWith(`| ${head.join(' | ')} |`))
  assert.ok(start >= 0, `no table ${head.join()}`)
  const rows = lines.slice(start + 2)
  const end = rows.findIndex((line) => !line.startsWith('|'))
  return rows.slice(0, end).map((line) =>
    line
      .slice(1, -1)
      .split(' |')
      .map((cell) => cell.trim()),
  )
}

/** What a cell has in code. */
function codes(cell = ''): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)
}

const code = (cell: string | undefined) => codes(cell)[0] ?? ''

const TYPES = `enum Kind { NONE = 0; CLICK = 1; } message Place { int32 zip = 1; }`
const GOOGLE = `syntax = "proto3"; package google.type; message Date { int32 year = 1; int32 month = 2; int32 day = 3; }
message TimeOfDay { int32 hours = 1; int32 minutes = 2; int32 seconds = 3; int32 nanos = 4; }`

/** A message of one declaration. */
function message(declaration: string): RecordType {
  const proto2 = declaration.startsWith('required')
  const body = declaration.replaceAll('(bigquery)', '(gen_bq_schema.bigquery)')
  const types = proto2 ? TYPES.replace('int32', 'optional int32') : TYPES
  const other = proto2 ? '' : 'int32 other = 100;'
  const source = `syntax = "${proto2 ? 'proto2' : 'proto3'}"; ${types} message Visit { ${body} ${other} }`
  return recordFromMessage(rootOf(source, GOOGLE).lookupType('Visit'), 'page')
}

/** What becomes of an event: the row without what Millrace adds, or the reason. */
function outcome(route: Partial<CodecRoute>, record: RecordType, event: string): object | string {
  const codec = compileRoute(routeOf(route), record)
  const out = new RowBuffer(64)
  const bytes = Buffer.from(event)
  const rejection = codec.encode(bytes, 0, bytes.length, NOWHERE, out)
  if (rejection) return rejection.reason
  const entry = out.slice()
  const start = entry.findIndex((byte, index) => index > 0 && byte < 128) + 1
  const { millrace: _, other: __, ...row } = createRowReader(codec)(entry.subarray(start))
  return row
}

/** The same of one column, as the page writes it. */
function shown(result: object | string, column: string): string {
  if (typeof result === 'string') return result
  const value: unknown = Reflect.get(result, column)
  return value === undefined ? 'NULL' : JSON.stringify(value)
}

const plain = (cell: string | undefined) => code(cell) || cell

/** A column as the page writes it; undefined: the field has none. */
function columnOf(record: RecordType): string | undefined {
  const column = tableFields(record).find(({ name }) => name !== 'other')
  if (!column) return undefined
  const { name, type, mode, fields: _, ...attributes } = column
  const rest = Object.entries(attributes).map(([key, value]) => `${key}=${String(value)}`)
  return [name, columnType(type), ...(mode === 'NULLABLE' ? [] : [mode]), ...rest].join(' ')
}

test('types of fields', () => {
  for (const [types, column, absent] of table('type', 'column', 'absent'))
    for (const type of codes(types)) {
      const record = message(`${type} v = 1;`)
      assert.equal(columnOf(record), `v ${column}`, type)
      assert.equal(shown(outcome({}, record, '{}'), 'v'), plain(absent), type)
    }
})

test('modes and options', () => {
  for (const [declaration, column, absent] of table('declaration', 'column', 'absent')) {
    const record = message(code(declaration))
    const expected = code(column)
    assert.equal(columnOf(record) ?? '', expected, declaration)
    assert.equal(shown(outcome({}, record, '{}'), expected.split(' ')[0] ?? ''), plain(absent), declaration)
  }
})

test('overrides of types', () => {
  for (const [names = '', types] of table('`type_override`', 'of'))
    for (const name of names.split(', '))
      for (const type of codes(types))
        assert.equal(columnOf(message(`${type} v = 1 [(bigquery).type_override = "${name}"];`)), `v ${name}`, type)
})

test('values of fields', () => {
  for (const [type, values, row] of table('field', 'in JSON', 'in the row'))
    for (const value of codes(values)) {
      const event = `{"v":${value}}`
      assert.equal(shown(outcome({}, message(`${code(type)} v = 1;`), event), 'v'), code(row), `${type} ${value}`)
    }
})

test('values of columns', () => {
  for (const [type, values, row] of table('column', 'in JSON', 'in the row'))
    for (const value of codes(values)) {
      const record = recordFromTableSchema([{ name: 'v', type }], 'page', 'page')
      assert.equal(shown(outcome({}, record, `{"v":${value}}`), 'v'), code(row), `${type} ${value}`)
    }
})

test('text', () => {
  const columns = table('column', 'type').slice(0, 12)
  const preset = compileRoute(routeOf({ format: 'text', preset: 'combined' })).fields.slice(0, -1)
  assert.deepEqual(
    columns.map(([name, type]) => [code(name), type]),
    preset.map(({ name, type }) => [name, columnType(type)]),
  )
  const record = recordFromTableSchema(
    [
      { name: 'n', type: 'INT64' },
      { name: 'ok', type: 'BOOL' },
      { name: 'msg', type: 'STRING' },
    ],
    'page',
    'page',
  )
  for (const [line, row] of table('line', 'row')) {
    const result = outcome({ format: 'text', preset: 'logfmt' }, record, code(line))
    assert.equal(typeof result === 'string' ? result : JSON.stringify(result), code(row), line)
  }
})

test('formats of time', () => {
  const at = recordFromTableSchema([{ name: 'at', type: 'TIMESTAMP' }], 'page', 'page')
  for (const [format, text, moment] of table('format', 'text', 'moment')) {
    const convert = { at: { type: 'timestamp' as const, format: code(format) } }
    const result = outcome({ format: 'text', pattern: '(?<at>.*)', convert }, at, code(text))
    assert.deepEqual(result, { at: code(moment) }, format)
  }
  const others = /There is also `([^`]+)`/.exec(PAGE)?.[1] ?? ''
  assert.ok(others.length > 0)
  strptime(`%Y ${others}`, 'Z', 'page')
})

test('unknown fields', () => {
  const id = recordFromTableSchema([{ name: 'id', type: 'INT64' }], 'page', 'page')
  for (const [policy, event, row] of table('`unknown`', 'event', 'row')) {
    const result = outcome({ unknown: code(policy) as 'keep' | 'drop' | 'reject' }, id, code(event))
    assert.equal(typeof result === 'string' ? result : JSON.stringify(result), code(row), policy)
  }
})

test('added columns', () => {
  const { fields } = compileRoute(routeOf({ format: 'raw' }))
  assert.deepEqual(
    table('column', 'type', 'value').map(([name, type]) => [code(name), type]),
    fields.at(-1)?.fields?.map(({ name, type }) => [name, columnType(type)]),
  )
})

test('limits', () => {
  const values = table('limit', 'value').map(([, value = '']) => Number(value.replaceAll(',', '')))
  assert.deepEqual(values, [COLUMNS_MAX, DEPTH_MAX, NESTING_MAX, LINE_BYTES_MAX, ROW_BYTES_MAX, 300])
  assert.deepEqual(
    [300, 301].map((length) => isPlainColumnName('a'.repeat(length))),
    [true, false],
  )
})

test('reasons of dead letters', () => {
  const source = /```proto\n([^]*?)```/.exec(PAGE)?.[1] ?? ''
  const record = recordFromMessage(rootOf(source).lookupType('Visit'), 'page')
  const rows = table('reason', 'meaning', 'example', 'mend')
  for (const [reason, meaning, example] of rows) {
    const said: Readonly<Record<string, string>> = REASONS
    assert.equal(meaning, said[code(reason)] ?? meaning)
    if (example !== '') assert.equal(outcome({ unknown: 'reject' }, record, code(example)), code(reason))
  }
  const all = new Set([...Object.keys(REASONS), ...DEAD_REASONS.slice(1), 'refused'])
  assert.deepEqual(new Set(rows.map(([reason]) => code(reason))), all)
})
