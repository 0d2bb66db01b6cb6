import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TableField } from '../schema/index.ts'
import { describeFields, planChange } from './table-spec.ts'

const column = (name: string, type: string, mode?: string): TableField => ({ name, type, ...(mode ? { mode } : {}) })
const record = (name: string, ...fields: TableField[]): TableField => ({ name, type: 'RECORD', fields })

const gainOf = (existing: TableField[], wanted: TableField[]) => {
  const change = planChange(existing, wanted)
  assert.equal(change.kind, 'gain')
  return change.kind === 'gain' ? change : assert.fail()
}
const problemsOf = (existing: TableField[], wanted: TableField[]) => {
  const change = planChange(existing, wanted)
  return change.kind === 'refused' ? change.problems : assert.fail(change.kind)
}

test('older names of types, the case of names and columns of the table alone are no change', () => {
  const existing = [column('A', 'INTEGER', 'NULLABLE'), column('mine', 'STRING'), record('r', column('x', 'FLOAT'))]
  assert.deepEqual(planChange(existing, [column('a', 'INT64'), record('r', column('x', 'FLOAT64'))]), { kind: 'same' })
})

test('columns are gained at any depth; REQUIRED is relaxed', () => {
  const change = gainOf(
    [column('a', 'STRING', 'REQUIRED'), record('r', column('x', 'DATE'))],
    [column('a', 'STRING'), record('r', column('x', 'DATE'), column('y', 'DATE', 'REPEATED')), column('b', 'BOOL')],
  )
  assert.deepEqual(change.gained, ['a (no longer REQUIRED)', 'r.y', 'b'])
  assert.deepEqual(describeFields(change.fields), ['a STRING', 'r RECORD', '  x DATE', '  y DATE REPEATED', 'b BOOL'])
  assert.deepEqual(change.widened, [])
})

test('numbers are widened by the rules of BigQuery, and never narrowed', () => {
  const types = ['INTEGER', 'NUMERIC', 'BIGNUMERIC', 'FLOAT', 'STRING']
  const allowed = types.flatMap((from) =>
    types
      .filter((to) => from !== to && planChange([column('n', from)], [column('n', to)]).kind === 'gain')
      .map((to) => `${from} ${to}`),
  )
  const widenings = ['INTEGER NUMERIC', 'INTEGER BIGNUMERIC', 'INTEGER FLOAT', 'NUMERIC BIGNUMERIC', 'NUMERIC FLOAT']
  assert.deepEqual(allowed, widenings)
})

test('limits are widened, and never narrowed: a table with wider ones takes the rows', () => {
  const limited = (type: string, ...[first, second]: string[]): TableField => ({
    ...column('c', type),
    ...(type === 'STRING' || type === 'BYTES' ? first && { maxLength: first } : first && { precision: first }),
    ...(second && { scale: second }),
  })
  const changes: readonly (readonly [from: TableField, to: TableField, gained: string | undefined])[] = [
    [limited('STRING', '3'), limited('STRING', '5'), 'c (STRING(3) widened to STRING(5))'],
    [limited('STRING', '3'), limited('STRING'), 'c (STRING(3) widened to STRING)'],
    [limited('BYTES', '3'), limited('BYTES', '4'), 'c (BYTES(3) widened to BYTES(4))'],
    [limited('NUMERIC', '5', '2'), limited('NUMERIC', '7', '3'), 'c (NUMERIC(5, 2) widened to NUMERIC(7, 3))'],
    [limited('NUMERIC', '5'), limited('NUMERIC'), 'c (NUMERIC(5) widened to NUMERIC)'],
    [limited('NUMERIC', '5', '2'), limited('BIGNUMERIC'), 'c (NUMERIC(5, 2) widened to BIGNUMERIC)'],
    [limited('STRING'), limited('STRING', '3'), undefined],
    [limited('STRING', '5'), limited('STRING', '3'), undefined],
    [limited('NUMERIC', '7', '3'), limited('NUMERIC', '5', '2'), undefined],
  ]
  for (const [from, to, gained] of changes) {
    const change = planChange([from], [to])
    assert.deepEqual(
      change.kind === 'gain' ? change.gained : [],
      gained ? [gained] : [],
      describeFields([from, to]).join(),
    )
    if (change.kind === 'gain') assert.deepEqual(change.widened, [to])
    else assert.equal(change.kind, 'same')
  }
  // More digits behind the point, but fewer before it.
  assert.deepEqual(problemsOf([limited('NUMERIC', '5', '2')], [limited('NUMERIC', '5', '3')]), [
    "c: NUMERIC(5, 2) in the table, NUMERIC(5, 3) in the route's schema",
  ])
})

test('a table that is wider than the schema stays as it is: its columns take the rows', () => {
  assert.deepEqual(planChange([column('n', 'NUMERIC')], [column('n', 'INT64')]), { kind: 'same' })
  assert.deepEqual(planChange([column('n', 'BIGNUMERIC')], [column('n', 'NUMERIC')]), { kind: 'same' })
  assert.equal(planChange([column('n', 'FLOAT64')], [column('n', 'INT64')]).kind, 'refused')
})

test('a widened column is told apart from what a patch can do', () => {
  const change = gainOf(
    [column('n', 'INT64', 'REQUIRED'), column('s', 'STRING')],
    [column('n', 'NUMERIC'), column('s', 'STRING'), column('b', 'BOOL')],
  )
  assert.deepEqual(change.gained, ['n (INT64 widened to NUMERIC)', 'n (no longer REQUIRED)', 'b'])
  assert.deepEqual(change.widened, [column('n', 'NUMERIC', 'NULLABLE')])
})

test('what BigQuery cannot do is refused with the reason', () => {
  assert.deepEqual(problemsOf([column('a', 'STRING')], [column('a', 'INT64')]), [
    "a: STRING in the table, INT64 in the route's schema",
  ])
  assert.deepEqual(problemsOf([column('a', 'STRING')], [column('a', 'STRING', 'REPEATED')]), [
    "a: NULLABLE in the table, REPEATED in the route's schema",
  ])
  assert.deepEqual(problemsOf([column('a', 'DATE')], [column('a', 'DATE'), column('b', 'DATE', 'REQUIRED')]), [
    'b: a REQUIRED column cannot be added',
  ])
  assert.deepEqual(problemsOf([column('a', 'DATE', 'REQUIRED')], [column('b', 'DATE')]), [
    "a: REQUIRED in the table, absent from the route's schema",
  ])
  for (const [from, to] of [
    [[record('r', column('n', 'INT64'))], [record('r', column('n', 'NUMERIC'))]],
    [[column('n', 'INT64', 'REPEATED')], [column('n', 'NUMERIC', 'REPEATED')]],
  ] as const)
    assert.match(problemsOf([...from], [...to]).join(), /n: INT64 in the table, NUMERIC.*cannot be widened/)
})
