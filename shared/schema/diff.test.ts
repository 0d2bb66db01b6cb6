import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TableField } from './bigquery.ts'
import { diffSchema } from './diff.ts'

const column = (
  name: string,
  type: string,
  mode: TableField['mode'] = 'NULLABLE',
  more: Partial<TableField> = {},
): TableField => ({ name, type, mode, ...more })

test('what is the same needs nothing, whatever the types are called', () => {
  const diff = diffSchema(
    [column('a', 'INTEGER'), column('b', 'FLOAT')],
    [column('A', 'INT64'), column('b', 'FLOAT64')],
  )
  assert.deepEqual([diff.changes, diff.refusals], [[], []])
})

test('columns are added, at every depth, and old ones stay', () => {
  const table = [column('a', 'STRING'), column('r', 'RECORD', 'NULLABLE', { fields: [column('x', 'STRING')] })]
  const schema = [
    column('r', 'RECORD', 'NULLABLE', { fields: [column('x', 'STRING'), column('y', 'INTEGER', 'REPEATED')] }),
    column('c', 'DATE'),
  ]
  const diff = diffSchema(table, schema)
  assert.deepEqual(diff.changes, [
    { kind: 'add', column: 'r.y', to: 'REPEATED INT64' },
    { kind: 'add', column: 'c', to: 'DATE' },
  ])
  assert.deepEqual(
    diff.fields.map((field) => field.name),
    ['a', 'r', 'c'],
  )
  assert.deepEqual(
    diff.fields[1]?.fields?.map((field) => field.name),
    ['x', 'y'],
  )
})

test('REQUIRED is relaxed, also where the schema has lost the column', () => {
  const diff = diffSchema(
    [column('a', 'STRING', 'REQUIRED'), column('b', 'STRING', 'REQUIRED')],
    [column('a', 'STRING')],
  )
  assert.deepEqual(
    diff.changes.map((change) => [change.kind, change.column]),
    [
      ['relax', 'a'],
      ['relax', 'b'],
    ],
  )
})

test('types become wider, never narrower', () => {
  const widened = (from: TableField, to: TableField) =>
    diffSchema([from], [to]).changes.map((change) => `${change.from} to ${change.to}`)
  assert.deepEqual(widened(column('a', 'INTEGER'), column('a', 'NUMERIC')), ['INT64 to NUMERIC'])
  assert.deepEqual(widened(column('a', 'STRING', 'NULLABLE', { maxLength: '5' }), column('a', 'STRING')), [
    'STRING(5) to STRING',
  ])
  const grown = [
    column('a', 'NUMERIC', 'NULLABLE', { precision: '5', scale: '2' }),
    column('a', 'NUMERIC', 'NULLABLE', { precision: '8', scale: '3' }),
  ] as const
  assert.deepEqual(widened(...grown), ['NUMERIC(5, 2) to NUMERIC(8, 3)'])
  assert.equal(diffSchema([grown[1]], [grown[0]]).refusals.length, 1)
  assert.deepEqual(diffSchema([column('a', 'NUMERIC')], [column('a', 'INTEGER')]), {
    changes: [],
    refusals: [],
    fields: [column('a', 'NUMERIC')],
  })
})

test('anything else is refused with both sides', () => {
  const refused = (from: TableField[], to: TableField[]) =>
    diffSchema(from, to).refusals.map((refusal) => `${refusal.table} | ${refusal.schema}`)
  assert.deepEqual(refused([column('a', 'STRING')], [column('a', 'INTEGER')]), ['STRING | INT64'])
  assert.deepEqual(refused([column('a', 'STRING')], [column('a', 'STRING', 'REPEATED')]), ['STRING | REPEATED STRING'])
  assert.deepEqual(refused([], [column('a', 'STRING', 'REQUIRED')]), ['absent | REQUIRED STRING'])
  assert.deepEqual(refused([column('a', 'FLOAT')], [column('a', 'INTEGER')]), ['FLOAT64 | INT64'])
})
