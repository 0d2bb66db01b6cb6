import type { DmlStats } from '../contract.ts'
import type { Answer } from './case.ts'

/** DML: https://cloud.google.com/bigquery/docs/reference/standard-sql/dml-syntax. Each starts from the same fixture. */
export interface Change {
  sql: string
  /** Rows inserted, updated, deleted. */
  counts?: readonly [number, number, number]
  error?: string
  /** A query afterwards, and its rows. */
  then?: string
  rows?: readonly (readonly Answer[])[]
}

export function statsOf([insertedRowCount, updatedRowCount, deletedRowCount]: readonly [
  number,
  number,
  number,
]): DmlStats {
  return { insertedRowCount, updatedRowCount, deletedRowCount }
}

const IDS = 'SELECT id FROM visits ORDER BY id'

export const CHANGES: readonly Change[] = [
  { sql: 'DELETE FROM `p.d.visits` WHERE id = 3', counts: [0, 0, 1], then: IDS, rows: [['1'], ['2'], ['4']] },
  {
    sql: "DELETE visits v WHERE v.millrace.source = 's1' AND v.millrace.position = 0",
    counts: [0, 0, 1],
    then: IDS,
    rows: [['2'], ['3'], ['4']],
  },
  {
    sql: 'DELETE FROM visits WHERE millrace.source IN (SELECT source FROM millrace_sources WHERE size > 10)',
    counts: [0, 0, 2],
    then: IDS,
    rows: [['3'], ['4']],
  },
  { sql: 'DELETE FROM visits WHERE TRUE', counts: [0, 0, 4], then: IDS, rows: [] },
  { sql: 'DELETE FROM visits', error: 'DELETE must have a WHERE clause at [1:1]' },
  { sql: 'TRUNCATE TABLE visits', counts: [0, 0, 4], then: IDS, rows: [] },
  {
    sql: "INSERT INTO visits (id, country, ts) VALUES (7, 'IT', '2024-05-01 00:00:00'), (8, DEFAULT, NULL)",
    counts: [2, 0, 0],
    then: 'SELECT id, country, ts, tags, millrace.size FROM visits WHERE id > 4 ORDER BY id',
    rows: [
      ['7', 'IT', '2024-05-01T00:00:00Z', [], null],
      ['8', null, null, [], null],
    ],
  },
  {
    sql: "INSERT visits (id, millrace, tags) VALUES (7, STRUCT('s9', 0, 4), ['z']), (8, ('s9', 4, 1), [])",
    counts: [2, 0, 0],
    then: 'SELECT millrace.source, millrace.position, tags FROM visits WHERE id > 4 ORDER BY id',
    rows: [
      ['s9', '0', ['z']],
      ['s9', '4', []],
    ],
  },
  {
    sql: 'INSERT INTO visits SELECT * FROM visits WHERE id = 1',
    counts: [1, 0, 0],
    then: 'SELECT COUNT(*), COUNT(DISTINCT id) FROM visits',
    rows: [['5', '4']],
  },
  {
    sql: "INSERT INTO visits (id, bytes) SELECT id + 10, bytes FROM visits WHERE country = 'DE'",
    counts: [2, 0, 0],
    then: IDS,
    rows: [['1'], ['2'], ['3'], ['4'], ['11'], ['14']],
  },
  {
    sql: 'INSERT INTO visits (id, country) VALUES (1, 2)',
    error: 'Value has type INT64 which cannot be inserted into column country, which has type STRING at [1:45]',
  },
  {
    sql: 'INSERT INTO visits (id, nope) VALUES (1, 2)',
    error: 'Column nope is not present in table p.d.visits at [1:25]',
  },
  {
    sql: 'INSERT INTO visits (id) VALUES (1, 2)',
    error: 'Inserted row has wrong column count; Has 2, expected 1 at [1:33]',
  },
  { sql: "INSERT INTO visits (country) VALUES ('DE')", error: 'Required field id cannot be null' },
  { sql: 'INSERT INTO by_country (n) VALUES (1)', error: 'Cannot change the rows of p:d.by_country: it is a view' },
  {
    sql: "UPDATE visits SET country = 'XX', bytes = bytes + 1 WHERE country IS NULL",
    counts: [0, 1, 0],
    then: 'SELECT country, bytes FROM visits WHERE id = 3',
    rows: [['XX', '51']],
  },
  {
    sql: 'UPDATE visits SET millrace.size = 99 WHERE id IN (1, 4)',
    counts: [0, 2, 0],
    then: 'SELECT millrace.source, millrace.size FROM visits WHERE id IN (1, 4) ORDER BY id',
    rows: [
      ['s1', '99'],
      [null, '99'],
    ],
  },
  {
    sql: 'UPDATE visits v SET bytes = s.size FROM millrace_sources s WHERE s.source = v.millrace.source',
    counts: [0, 3, 0],
    then: 'SELECT bytes FROM visits ORDER BY id',
    rows: [['15'], ['15'], ['7'], ['400']],
  },
  {
    sql: 'UPDATE visits v SET bytes = x FROM UNNEST([1, 2]) AS x WHERE v.id = 1',
    error: 'UPDATE/MERGE must match at most one source row for each target row',
  },
  { sql: 'UPDATE visits SET bytes = 1', error: 'UPDATE must have a WHERE clause at [1:1]' },
  {
    sql: `MERGE visits T USING (SELECT 1 AS id, 'ZZ' AS c UNION ALL SELECT 9, 'NEW') S ON T.id = S.id
      WHEN MATCHED THEN UPDATE SET country = S.c
      WHEN NOT MATCHED THEN INSERT (id, country) VALUES (S.id, S.c)
      WHEN NOT MATCHED BY SOURCE AND T.id = 4 THEN DELETE`,
    counts: [1, 1, 1],
    then: 'SELECT id, country FROM visits ORDER BY id',
    rows: [
      ['1', 'ZZ'],
      ['2', 'FR'],
      ['3', null],
      ['9', 'NEW'],
    ],
  },
  {
    sql: `MERGE INTO d.visits AS T USING (SELECT * REPLACE (id + 100 AS id) FROM d.visits WHERE millrace.source = 's1') AS S ON FALSE
      WHEN NOT MATCHED BY SOURCE AND T.millrace.source = 's1' THEN DELETE
      WHEN NOT MATCHED BY TARGET THEN INSERT ROW`,
    counts: [2, 0, 2],
    then: IDS,
    rows: [['3'], ['4'], ['101'], ['102']],
  },
  {
    sql: 'MERGE visits T USING (SELECT 1 AS id UNION ALL SELECT 1) S ON T.id = S.id WHEN MATCHED THEN DELETE',
    error: 'UPDATE/MERGE must match at most one source row for each target row',
  },
  {
    sql: 'MERGE visits T USING (SELECT 1 AS id) S ON T.id = S.id WHEN MATCHED AND T.bytes > 1000 THEN DELETE',
    counts: [0, 0, 0],
    then: 'SELECT COUNT(*) FROM visits',
    rows: [['4']],
  },
]
