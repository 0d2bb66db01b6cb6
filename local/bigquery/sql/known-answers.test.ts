import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { knownFunctions, QueryError, runQuery, translateQuery } from './index.ts'
import { AGGREGATE_CASES } from './known-answers/aggregates.ts'
import type { Case } from './known-answers/case.ts'
import { CHANGES, statsOf } from './known-answers/changes.ts'
import { DOCUMENT_CASES } from './known-answers/documents.ts'
import { answersOf, CONTEXT, openFixture } from './known-answers/fixture.ts'
import { NUMBER_CASES } from './known-answers/numbers.ts'
import { ERROR_CASES, PARAMETER_CASES, QUERY_CASES } from './known-answers/queries.ts'
import { STRING_CASES } from './known-answers/strings.ts'
import { TIME_CASES } from './known-answers/times.ts'

// Goal: what the documentation of BigQuery promises for the forms and functions of the allow-list holds here.
// Method: a table of statements, each with the rows or the message that the documentation (or arithmetic by hand) gives.

type Fixture = Awaited<ReturnType<typeof openFixture>>

const TABLES: Readonly<Record<string, readonly Case[]>> = {
  strings: STRING_CASES,
  numbers: NUMBER_CASES,
  'dates and times': TIME_CASES,
  'JSON, arrays and structs': DOCUMENT_CASES,
  aggregates: AGGREGATE_CASES,
  queries: QUERY_CASES,
  parameters: PARAMETER_CASES,
  errors: ERROR_CASES,
}

async function check(fixture: Fixture, { sql, rows, error, parameters = [] }: Case): Promise<void> {
  const run = async () => {
    const parameterMode = parameters[0]?.name === undefined ? 'POSITIONAL' : 'NAMED'
    const mode = parameters.length === 0 ? {} : ({ parameters, parameterMode } as const)
    const result = await runQuery(fixture.connection, translateQuery(sql, { ...CONTEXT, ...mode }), {
      timestampFormat: 'ISO8601_STRING',
    })
    return answersOf(result.chunks)
  }
  if (error === undefined) return assert.deepEqual(await run(), rows)
  await assert.rejects(run, (thrown) => {
    assert.ok(thrown instanceof QueryError, String(thrown))
    assert.equal(thrown.message, error)
    return true
  })
}

for (const [name, cases] of Object.entries(TABLES)) {
  describe(`known answers: ${name}`, () => {
    let fixture: Fixture
    before(async () => {
      fixture = await openFixture('Asia/Kolkata')
    })
    after(() => fixture.close())
    for (const entry of cases) it(entry.sql.replaceAll(/\s+/g, ' '), () => check(fixture, entry))
  })
}

describe('a query means the same inside another', () => {
  const INSIDE = (sql: string) => `WITH inner_query AS (${sql}\n) SELECT * FROM (SELECT * FROM inner_query) AS x`
  const sorted = (rows: readonly unknown[]) => rows.map((row) => JSON.stringify(row)).sort()
  let fixture: Fixture
  before(async () => {
    fixture = await openFixture()
  })
  after(() => fixture.close())
  for (const [name, cases] of Object.entries(TABLES)) {
    it(name, async () => {
      for (const { sql, rows, parameters } of cases) {
        if (rows === undefined || parameters !== undefined) continue
        const result = await runQuery(fixture.connection, translateQuery(INSIDE(sql), CONTEXT), {
          timestampFormat: 'ISO8601_STRING',
        })
        assert.deepEqual(sorted(await answersOf(result.chunks)), sorted(rows), sql)
      }
    })
  }
})

describe('known answers: changes', () => {
  for (const { sql, counts, error, then, rows } of CHANGES) {
    it(sql.replaceAll(/\s+/g, ' '), async () => {
      const fixture = await openFixture()
      try {
        const run = async () => (await runQuery(fixture.connection, translateQuery(sql, CONTEXT))).dml
        if (error !== undefined) return await assert.rejects(run, { name: 'QueryError', message: error })
        assert.deepEqual(await run(), statsOf(counts ?? [0, 0, 0]))
        if (then !== undefined) await check(fixture, { sql: then, rows: rows ?? [] })
      } finally {
        fixture.close()
      }
    })
  }
})

it('every function of the allow-list has a known answer', () => {
  const texts = Object.values(TABLES)
    .flat()
    .map((entry) => entry.sql.toUpperCase())
    .join('\n')
  const silent = knownFunctions().filter((name) => !new RegExp(`\\b${name}\\b\\s*\\(`).test(texts))
  assert.deepEqual(silent, [])
})

it('the page names every function of the allow-list, and no other', () => {
  const page = readFileSync(new URL('README.md', import.meta.url), 'utf8')
  const [, section = ''] = /## Functions\n([\s\S]*?)\nAll of them/.exec(page) ?? []
  assert.deepEqual(section.trim().split(/,\s+/), knownFunctions())
})
