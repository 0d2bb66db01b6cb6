import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compileRoute } from '../codec/index.ts'
import { UserError } from '../errors.ts'
import { recordFromTableSchema } from '../schema/bigquery.ts'
import { countRows, recognise } from './index.ts'

const KEY = fc.oneof(
  fc.constantFrom('id', 'ID', 'at', 'ts', 'created_at', 'name', 'extra', 'millrace', '2xx', 'a.b', '_TABLE_x', '', 'ü'),
  fc.stringMatching(/^[a-c]{1,2}$/),
)
const TEXT = fc.oneof(
  fc.constantFrom('2024-01-02', '2024-01-02T03:04:05Z', '2024-02-03 04:05:06.5', '23:59', '', 'NaN', '1', 'true'),
  fc.string({ unit: 'grapheme' }),
)
const NUMBER = fc.oneof(
  fc.constantFrom('0', '-0', '1.0', '1e3', '1446249499322', '9223372036854775808', '-9223372036854775808'),
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
)
const { value: VALUE } = fc.letrec<{ value: string; object: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    NUMBER,
    TEXT.map((text) => JSON.stringify(text)),
    fc.constantFrom('null', 'true', 'false'),
    fc.array(tie('value'), { maxLength: 3 }).map((items) => `[${items.join(',')}]`),
    tie('object'),
  ),
  object: fc.dictionary(KEY, tie('value'), { maxKeys: 4 }).map(textOf),
}))
const EVENT = fc.dictionary(KEY, VALUE, { maxKeys: 6 }).map(textOf)

function textOf(members: Record<string, string>): string {
  return `{${Object.entries(members)
    .map(([key, value]) => `${JSON.stringify(key)}:${value}`)
    .join(',')}}`
}

test('the schema that is proposed takes every event that it was made from', () => {
  const events = fc.array(EVENT, { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(events, fc.boolean(), (texts, required) => {
      const lines = texts.map((text) => Buffer.from(text))
      const fields = fieldsOf(lines, required)
      if (!fields) return
      const record = recordFromTableSchema(fields, 'x', 'x.json')
      const route = { name: 'x', format: 'json', unknown: 'keep', metadata: 'millrace', convert: {} } as const
      assert.equal(countRows(lines, compileRoute(route, record)), lines.length)
    }),
    { numRuns: 2000 },
  )
})

/** undefined: no key can be a column. */
function fieldsOf(lines: readonly Buffer[], required: boolean) {
  try {
    return recognise(lines, { where: 'x', required }).fields
  } catch (error) {
    assert.ok(error instanceof UserError && /no key/.test(error.message))
    return undefined
  }
}
