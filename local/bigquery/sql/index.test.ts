import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { QueryError, runQuery, translateQuery, type QueryParameter, type TimestampFormat } from './index.ts'
import { answersOf, CONTEXT, openFixture } from './known-answers/fixture.ts'

type Fixture = Awaited<ReturnType<typeof openFixture>>

const text = (name: string, value: string): QueryParameter => ({
  name,
  parameterType: { type: 'STRING' },
  parameterValue: { value },
})

describe('translateQuery', () => {
  it('names the stored tables that a statement reads, through views and subqueries', () => {
    const sql = 'SELECT (SELECT COUNT(*) FROM millrace_sources) FROM top_country'
    const names = translateQuery(sql, CONTEXT).tables.map((name) => `${name.project}.${name.dataset}.${name.table}`)
    assert.deepEqual(names.sort(), ['p.d.millrace_sources', 'p.d.visits'])
  })

  it('names the target of a change among the tables', () => {
    const translated = translateQuery('DELETE FROM d.visits WHERE TRUE', CONTEXT)
    assert.deepEqual(translated.tables, [{ project: 'p', dataset: 'd', table: 'visits' }])
  })

  it('gives the schema in the REST form', () => {
    const sql = "SELECT id, tags, millrace, 1.5, NUMERIC '1', b'x' AS raw, extra FROM visits"
    const translated = translateQuery(sql, CONTEXT)
    assert.ok(translated.statementType === 'SELECT')
    const types = translated.schema.map(({ name, type, mode }) => `${name} ${type} ${mode}`)
    assert.deepEqual(types, [
      'id INTEGER NULLABLE',
      'tags STRING REPEATED',
      'millrace RECORD NULLABLE',
      'f0_ FLOAT NULLABLE',
      'f1_ NUMERIC NULLABLE',
      'raw BYTES NULLABLE',
      'extra JSON NULLABLE',
    ])
    assert.deepEqual(
      translated.schema[2]?.fields?.map((field) => field.name),
      ['source', 'position', 'size'],
    )
  })

  it('refuses a table of requirePartitionFilter without a filter that every row must meet', () => {
    const resolveTable: typeof CONTEXT.resolveTable = (...name) => {
      const found = CONTEXT.resolveTable(...name)
      return found?.kind === 'table' ? { ...found, requiredFilter: ['ts'] } : found
    }
    const translate = (sql: string) => translateQuery(sql, { ...CONTEXT, resolveTable })
    for (const sql of [
      'SELECT id FROM visits WHERE ts IS NULL OR ts IS NOT NULL',
      "SELECT id FROM visits AS v WHERE id > 1 AND (v.ts > '2024-01-01' OR DATE(v.ts) = '2023-01-01')",
      "SELECT v.id FROM UNNEST([1]) AS n JOIN visits AS v ON v.id = n AND v.ts > '2024-01-01'",
      'DELETE FROM visits WHERE ts IS NULL',
    ])
      translate(sql)
    for (const sql of [
      'SELECT ts FROM visits',
      'SELECT ts FROM visits WHERE id = 1 OR ts IS NULL',
      'SELECT a.id FROM visits AS a JOIN visits AS b ON a.ts = a.ts',
      'SELECT n FROM top_country CROSS JOIN UNNEST([1]) AS n',
      'UPDATE visits SET id = 2 WHERE id = 1',
      'MERGE visits USING UNNEST([1]) AS n ON id = n WHEN MATCHED AND ts IS NULL THEN DELETE',
    ])
      assert.throws(
        () => translate(sql),
        /Cannot query over table 'p\.d\.visits' without a filter over column\(s\) 'ts'/,
        sql,
      )
  })

  it('hands CREATE VIEW to the caller with its text and schema', () => {
    const translated = translateQuery('CREATE OR REPLACE VIEW d.v AS\n  SELECT id AS x FROM d.visits;', CONTEXT)
    assert.partialDeepStrictEqual(translated, {
      statementType: 'CREATE_VIEW',
      target: { project: 'p', dataset: 'd', table: 'v' },
      query: 'SELECT id AS x FROM d.visits',
      schema: [{ name: 'x', type: 'INTEGER' }],
      orReplace: true,
      tolerant: false,
    })
    assert.throws(
      () => translateQuery('CREATE VIEW d.v AS SELECT 1', CONTEXT),
      /CREATE VIEW columns must be named, but column 1 has no name/,
    )
    assert.throws(
      () => translateQuery('CREATE VIEW d.v AS SELECT id FROM visits', CONTEXT),
      /must be qualified with a dataset/,
    )
  })

  it('hands DROP VIEW to the caller', () => {
    const translated = translateQuery('DROP VIEW IF EXISTS `p.d.v`', CONTEXT)
    assert.partialDeepStrictEqual(translated, { statementType: 'DROP_VIEW', target: { table: 'v' }, tolerant: true })
  })

  it('hands ALTER COLUMN SET DATA TYPE to the caller with the new fields', () => {
    const translated = translateQuery('ALTER TABLE `p.d.visits` ALTER COLUMN `id` SET DATA TYPE NUMERIC', CONTEXT)
    assert.partialDeepStrictEqual(translated, { statementType: 'ALTER_TABLE', target: { table: 'visits' } })
    assert.ok('fields' in translated)
    assert.equal(translated.fields.find(({ name }) => name === 'id')?.type, 'NUMERIC')
    for (const [sql, message] of [
      [
        'ALTER TABLE d.visits ALTER COLUMN id SET DATA TYPE STRING',
        /\(INT64\) is assignable to the new type \(STRING\)/,
      ],
      ['ALTER TABLE d.visits ALTER COLUMN tags SET DATA TYPE BYTES', /\(ARRAY<STRING>\) is assignable/],
      ['ALTER TABLE d.visits ALTER COLUMN nothing SET DATA TYPE NUMERIC', /Column not found: nothing/],
      ['ALTER TABLE d.top_country ALTER COLUMN x SET DATA TYPE NUMERIC', /is not a TABLE/],
      ['ALTER TABLE d.visits ADD COLUMN x INT64', /Not supported by the local BigQuery: ALTER TABLE ADD/],
    ] as const)
      assert.throws(() => translateQuery(sql, CONTEXT), message)
  })

  it('gives an error its reason, status and location', () => {
    const errorOf = (sql: string) => {
      try {
        translateQuery(sql, CONTEXT)
      } catch (error) {
        if (error instanceof QueryError) return { reason: error.reason, code: error.code, location: error.location }
      }
      throw new Error(`${sql} was not refused`)
    }
    assert.deepEqual(errorOf('SELECT nothing'), { reason: 'invalidQuery', code: 400, location: 'query' })
    assert.deepEqual(errorOf('SELECT * FROM d.no'), { reason: 'notFound', code: 404, location: undefined })
  })

  it('refuses nesting without end instead of running out of stack', () => {
    const deep = `SELECT ${'('.repeat(5000)}1${')'.repeat(5000)}`
    assert.throws(() => translateQuery(deep, CONTEXT), /too deeply nested/)
  })

  it('takes conditions by the thousand, and refuses other chains that are too long', () => {
    const conditions = Array.from({ length: 5000 }, (_unused, i) => `id = ${i}`).join(' OR ')
    assert.equal(translateQuery(`SELECT id FROM visits WHERE ${conditions}`, CONTEXT).statementType, 'SELECT')
    const sum = Array.from({ length: 50_000 }, () => '1').join(' + ')
    assert.throws(() => translateQuery(`SELECT ${sum}`, CONTEXT), /Query is too complex/)
  })

  it('translates or refuses any text, and never fails otherwise', () => {
    const words = fc.constantFrom(
      ...'SELECT FROM WHERE ( ) , . * + - visits id "x" `a` @p ? 1 GROUP BY AS UNNEST [ ] CASE END OVER WITH'.split(
        ' ',
      ),
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(words, { maxLength: 12 }).map((list) => `SELECT ${list.join(' ')}`),
        ),
        (sql) => {
          try {
            translateQuery(sql, CONTEXT)
          } catch (error) {
            assert.ok(error instanceof QueryError, `${sql}: ${String(error)}`)
          }
        },
      ),
      { numRuns: 2000 },
    )
  })
})

describe('runQuery', () => {
  let fixture: Fixture
  before(async () => {
    fixture = await openFixture('America/New_York')
  })
  after(() => fixture.close())

  const ask = async (sql: string, parameters: QueryParameter[] = [], timestampFormat?: TimestampFormat) => {
    const translated = translateQuery(sql, { ...CONTEXT, parameters, parameterMode: 'NAMED' })
    const result = await runQuery(
      fixture.connection,
      translated,
      timestampFormat === undefined ? {} : { timestampFormat },
    )
    return answersOf(result.chunks)
  }

  it('writes timestamps as the caller asks', async () => {
    const sql =
      "SELECT TIMESTAMP '2024-01-01 10:30:00.123456+00', TIMESTAMP '1969-12-31 23:59:59.5+00', [TIMESTAMP '1970-01-01']"
    assert.deepEqual(await ask(sql), [['1704105000.123456', '-0.500000', ['0.000000']]])
    assert.deepEqual(await ask(sql, [], 'INT64'), [['1704105000123456', '-500000', ['0']]])
    assert.deepEqual(await ask(sql, [], 'ISO8601_STRING'), [
      ['2024-01-01T10:30:00.123456Z', '1969-12-31T23:59:59.500000Z', ['1970-01-01T00:00:00Z']],
    ])
  })

  it('takes any text as a parameter, a literal, an alias or a member, and nothing of it as SQL', async () => {
    const any = fc.string({ unit: fc.constantFrom(...'\'"\\;-/*`)(%$@ aé\0\n😀') })
    await fc.assert(
      fc.asyncProperty(any, async (value) => {
        const alias = value.replaceAll(/[`\n\0]/g, '')
        const literal = `"""${value.replaceAll(/["\\]/g, (found) => `\\${found}`)}"""`
        const sql = `SELECT s.\`x${alias}\`, s.\`x${alias}\` = ${literal} FROM (SELECT STRUCT(@p AS \`x${alias}\`) AS s)`
        assert.deepEqual(await ask(sql, [text('p', value)]), [[value, 'true']])
      }),
      { numRuns: 200 },
    )
  })

  it('keeps every INT64 and every microsecond', async () => {
    const bound = 2n ** 63n
    await fc.assert(
      fc.asyncProperty(
        fc.bigInt({ min: -bound, max: bound - 1n }),
        fc.integer({ min: -62_135_596_800, max: 253_402_300_799 }),
        async (int, seconds) => {
          const micros = String(BigInt(seconds) * 1_000_000n + 999_999n)
          const rows = await ask(
            `SELECT ${int}, UNIX_MICROS(TIMESTAMP_MICROS(${micros})), TIMESTAMP_MICROS(${micros})`,
            [],
            'INT64',
          )
          assert.deepEqual(rows, [[String(int), micros, micros]])
        },
      ),
      { numRuns: 100 },
    )
  })

  it('runs conditions by the thousand', async () => {
    const conditions = Array.from({ length: 5000 }, (_unused, i) => `id = ${i + 3}`).join(' OR ')
    assert.deepEqual(await ask(`SELECT id FROM visits WHERE ${conditions} ORDER BY id`), [['3'], ['4']])
  })

  it('produces rows while they are read', async () => {
    const translated = translateQuery('SELECT x FROM UNNEST(GENERATE_ARRAY(1, 100000)) AS x', CONTEXT)
    const result = await runQuery(fixture.connection, translated)
    const sizes: number[] = []
    for await (const chunk of result.chunks) sizes.push(chunk.length)
    assert.ok(Math.max(...sizes) <= 2048)
    assert.equal(
      sizes.reduce((sum, size) => sum + size, 0),
      100_000,
    )
  })
})
