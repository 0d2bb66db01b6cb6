import { type Case, many, one, refused } from './case.ts'

/** Forms of a query, over the tables of the fixture: https://cloud.google.com/bigquery/docs/reference/standard-sql/query-syntax */
export const QUERY_CASES: readonly Case[] = [
  many('SELECT id, country FROM `p.d.visits` ORDER BY id', ['1', 'DE'], ['2', 'FR'], ['3', null], ['4', 'DE']),
  many('SELECT ID, Country FROM `p`.`d`.`visits` WHERE ID < 3 ORDER BY iD', ['1', 'DE'], ['2', 'FR']),
  one('SELECT COUNT(*) FROM p.d.visits', '4'),
  one('SELECT COUNT(*) FROM d.visits', '4'),
  one('SELECT COUNT(*) FROM visits', '4'),
  one('SELECT COUNT(*) FROM dash-ed-project.d.visits', '4'),
  many('SELECT country FROM visits ORDER BY country, id', [null], ['DE'], ['DE'], ['FR']),
  many('SELECT country FROM visits ORDER BY country DESC, id', ['FR'], ['DE'], ['DE'], [null]),
  many(
    'SELECT country, COUNT(*) AS n FROM visits GROUP BY country ORDER BY n DESC, country NULLS LAST',
    ['DE', '2'],
    ['FR', '1'],
    [null, '1'],
  ),
  many(
    "SELECT IFNULL(country, '?') AS c, SUM(bytes) FROM visits GROUP BY c HAVING SUM(bytes) > 100 ORDER BY 2",
    ['FR', '200'],
    ['DE', '500'],
  ),
  many("SELECT 'row' AS kind, country FROM visits GROUP BY kind, country HAVING country = 'DE'", ['row', 'DE']),
  many(
    'SELECT DATE(ts) AS day, COUNT(DISTINCT country) FROM visits GROUP BY 1 ORDER BY day',
    ['2024-01-01', '2'],
    ['2024-01-02', '1'],
  ),
  many(
    'SELECT country, COUNT(*) FROM visits WHERE country IS NOT NULL GROUP BY ALL ORDER BY 1',
    ['DE', '2'],
    ['FR', '1'],
  ),
  many(
    'SELECT country, COUNT(*) FROM visits WHERE country IS NOT NULL GROUP BY ROLLUP(country) ORDER BY 1',
    [null, '3'],
    ['DE', '2'],
    ['FR', '1'],
  ),
  many('SELECT DISTINCT country FROM visits WHERE country IS NOT NULL ORDER BY country', ['DE'], ['FR']),
  many('SELECT id FROM visits ORDER BY id LIMIT 2 OFFSET 1', ['2'], ['3']),
  many('SELECT * EXCEPT (millrace, tags, extra, ts) FROM visits WHERE id = 1', ['1', 'DE', '100']),
  many('SELECT * EXCEPT (millrace, tags, extra, ts) REPLACE (bytes * 2 AS bytes) FROM visits WHERE id = 1', [
    '1',
    'DE',
    '200',
  ]),
  many('SELECT v.* EXCEPT (millrace, tags, extra, ts), 1 AS one FROM visits AS v WHERE v.id = 1', [
    '1',
    'DE',
    '100',
    '1',
  ]),
  many('SELECT millrace.* FROM visits WHERE id = 1', ['s1', '0', '10']),
  many('SELECT millrace.source, visits.millrace.size FROM visits WHERE id = 2', ['s1', '5']),
  many('SELECT id, t FROM visits, UNNEST(tags) AS t ORDER BY id, t', ['1', 'a'], ['1', 'b'], ['3', 'c']),
  many(
    'SELECT id, t FROM visits LEFT JOIN UNNEST(tags) AS t ORDER BY id, t',
    ['1', 'a'],
    ['1', 'b'],
    ['2', null],
    ['3', 'c'],
    ['4', null],
  ),
  many("SELECT v.id, t FROM visits AS v, v.tags AS t WHERE t != 'a' ORDER BY 1", ['1', 'b'], ['3', 'c']),
  many(
    'SELECT id, (SELECT COUNT(*) FROM UNNEST(tags)) FROM visits ORDER BY id',
    ['1', '2'],
    ['2', '0'],
    ['3', '1'],
    ['4', '0'],
  ),
  many("SELECT id FROM visits WHERE EXISTS (SELECT 1 FROM UNNEST(tags) AS t WHERE t = 'b')", ['1']),
  many("SELECT id FROM visits WHERE 'c' IN UNNEST(tags)", ['3']),
  many('SELECT id FROM visits WHERE bytes = (SELECT MAX(bytes) FROM visits)', ['4']),
  many(
    'SELECT id FROM visits WHERE millrace.source IN (SELECT source FROM millrace_sources WHERE size > 10) ORDER BY id',
    ['1'],
    ['2'],
  ),
  many(
    "SELECT id, JSON_VALUE(extra, '$.agent.name'), extra.n FROM visits WHERE extra IS NOT NULL ORDER BY id",
    ['1', 'curl', '5'],
    ['3', null, 'null'],
  ),
  many(
    'SELECT v.id, s.size FROM visits AS v JOIN millrace_sources AS s ON s.source = v.millrace.source ORDER BY v.id',
    ['1', '15'],
    ['2', '15'],
    ['3', '7'],
  ),
  many(
    'SELECT v.id, s.size FROM visits v LEFT JOIN millrace_sources s ON s.source = v.millrace.source WHERE v.id > 2 ORDER BY id',
    ['3', '7'],
    ['4', null],
  ),
  many(
    'SELECT source, s.size, v.id FROM (SELECT id, millrace.source FROM visits) v FULL OUTER JOIN millrace_sources s USING (source) ORDER BY source, id',
    [null, null, '4'],
    ['s1', '15', '1'],
    ['s1', '15', '2'],
    ['s2', '7', '3'],
    ['s3', '1', null],
  ),
  many('SELECT * FROM (SELECT 1 AS a, 2 AS b) JOIN (SELECT 1 AS a, 3 AS c) USING (a)', ['1', '2', '3']),
  many('SELECT x, y FROM (SELECT 1 AS x) CROSS JOIN (SELECT 2 AS y), UNNEST([3]) AS z', ['1', '2']),
  many('WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS x FROM a) SELECT a.x, b.x AS y FROM a, b', ['1', '2']),
  many('SELECT 1 AS x UNION ALL SELECT 1 UNION ALL SELECT 2.5 ORDER BY x', ['1.0'], ['1.0'], ['2.5']),
  many('SELECT 1 AS x UNION DISTINCT SELECT 1 UNION DISTINCT SELECT 2 ORDER BY x DESC LIMIT 1', ['2']),
  many('(SELECT 1 AS x UNION ALL SELECT 2) EXCEPT DISTINCT SELECT 2', ['1']),
  many('SELECT x FROM UNNEST([1, 2, 3]) AS x INTERSECT DISTINCT SELECT 2', ['2']),
  many(
    "SELECT NULL AS t, 'a' AS k UNION ALL SELECT TIMESTAMP '2024-01-01', 'b' ORDER BY k",
    [null, 'a'],
    ['2024-01-01T00:00:00Z', 'b'],
  ),
  many(
    'SELECT id FROM visits QUALIFY ROW_NUMBER() OVER (PARTITION BY country ORDER BY id DESC) = 1 ORDER BY id',
    ['2'],
    ['3'],
    ['4'],
  ),
  many(
    'SELECT id, RANK() OVER (ORDER BY bytes DESC) AS r FROM visits QUALIFY r <= 2 ORDER BY r',
    ['4', '1'],
    ['2', '2'],
  ),
  many(
    `WITH events AS (
       SELECT millrace.source AS source, millrace.position AS position, millrace.size AS size FROM \`p.d.visits\` WHERE millrace.source IS NOT NULL
     ), steps AS (
       SELECT *, LAG(position + size, 1, 0) OVER (PARTITION BY source ORDER BY position) AS expected FROM events
     )
     SELECT source, COUNTIF(position > expected) AS gaps, COUNTIF(position < expected) AS overlaps, MAX(position + steps.size) = ANY_VALUE(s.size) AS whole
     FROM steps JOIN millrace_sources AS s USING (source) GROUP BY source ORDER BY source`,
    ['s1', '0', '0', 'true'],
    ['s2', '1', '0', 'false'],
  ),
  many('SELECT * FROM by_country ORDER BY n DESC, country', ['DE', '2'], [null, '1'], ['FR', '1']),
  many('SELECT n FROM d.top_country AS t WHERE t.country IS NOT NULL', ['2']),
  many(
    'SELECT table_name, table_type FROM d.INFORMATION_SCHEMA.TABLES ORDER BY table_name',
    ['by_country', 'VIEW'],
    ['millrace_sources', 'BASE TABLE'],
    ['visits', 'BASE TABLE'],
  ),
  many(
    "SELECT column_name, data_type, is_nullable, ordinal_position FROM `p.d.INFORMATION_SCHEMA.COLUMNS` WHERE table_name = 'visits' AND ordinal_position IN (1, 5, 7) ORDER BY ordinal_position",
    ['id', 'INT64', 'NO', '1'],
    ['tags', 'ARRAY<STRING>', 'YES', '5'],
    ['millrace', 'STRUCT<source STRING, position INT64, size INT64>', 'YES', '7'],
  ),
  many(
    "SELECT column_name, data_type FROM d.INFORMATION_SCHEMA.COLUMNS WHERE table_name = 'by_country' ORDER BY 1",
    ['country', 'STRING'],
    ['n', 'INT64'],
  ),
  many('SELECT millrace.source FROM (SELECT millrace FROM visits WHERE id = 1) AS millrace', ['s1']),
  many(
    "SELECT field_path FROM d.INFORMATION_SCHEMA.COLUMN_FIELD_PATHS WHERE column_name = 'millrace' ORDER BY field_path",
    ['millrace'],
    ['millrace.position'],
    ['millrace.size'],
    ['millrace.source'],
  ),
  many("SELECT _PARTITIONTIME, _PARTITIONDATE FROM millrace_sources WHERE source = 's1'", [
    '2024-01-01T00:00:00Z',
    '2024-01-01',
  ]),
  many("SELECT TO_JSON_STRING(s) FROM millrace_sources AS s WHERE source = 's2'", ['{"source":"s2","size":7}']),
  many('SELECT (SELECT AS STRUCT id, country).country FROM visits WHERE id = 1', ['DE']),
  many('SELECT AS VALUE id FROM visits WHERE id < 3 ORDER BY id', ['1'], ['2']),
  many('SELECT id -- a comment\n FROM visits /* another */ WHERE id = 1 # and one more', ['1']),
  many('SELECT ((SELECT 1) + 2) AS x, (SELECT MAX(y) FROM UNNEST([1, 2]) AS y), FROM UNNEST([0])', ['3', '2']),
]

/** Parameters: https://cloud.google.com/bigquery/docs/parameterized-queries */
export const PARAMETER_CASES: readonly Case[] = [
  {
    sql: 'SELECT id FROM visits WHERE country = @country AND bytes > @Bytes ORDER BY id LIMIT @n',
    parameters: [
      { name: 'country', parameterType: { type: 'STRING' }, parameterValue: { value: 'DE' } },
      { name: 'bytes', parameterType: { type: 'INT64' }, parameterValue: { value: '50' } },
      { name: 'n', parameterType: { type: 'INT64' }, parameterValue: { value: '1' } },
    ],
    rows: [['1']],
  },
  {
    sql: 'SELECT id FROM visits WHERE ts >= ? AND country IN UNNEST(?) ORDER BY id',
    parameters: [
      { parameterType: { type: 'TIMESTAMP' }, parameterValue: { value: '2024-01-01 10:00:00+00:00' } },
      {
        parameterType: { type: 'ARRAY', arrayType: { type: 'STRING' } },
        parameterValue: { arrayValues: [{ value: 'FR' }, { value: "O'Neil" }] },
      },
    ],
    rows: [['2']],
  },
  {
    sql: "SELECT @s.a, @s.b[OFFSET(1)], @t, @nothing, @d, @x, @j.k, @raw, @n, @flag, @t > '2023-01-01'",
    parameters: [
      {
        name: 's',
        parameterType: {
          type: 'STRUCT',
          structTypes: [
            { name: 'a', type: { type: 'STRING' } },
            { name: 'b', type: { type: 'ARRAY', arrayType: { type: 'INT64' } } },
          ],
        },
        parameterValue: {
          structValues: { a: { value: 'it\'s "x"; --' }, b: { arrayValues: [{ value: '1' }, { value: '2' }] } },
        },
      },
      { name: 't', parameterType: { type: 'TIMESTAMP' }, parameterValue: { value: '2024-01-01T00:00:00.5Z' } },
      { name: 'nothing', parameterType: { type: 'STRING' }, parameterValue: { value: null } },
      { name: 'd', parameterType: { type: 'DATE' }, parameterValue: { value: '2024-02-29' } },
      { name: 'x', parameterType: { type: 'FLOAT64' }, parameterValue: { value: '1e3' } },
      { name: 'j', parameterType: { type: 'JSON' }, parameterValue: { value: '{"k": [1]}' } },
      { name: 'raw', parameterType: { type: 'BYTES' }, parameterValue: { value: 'AP8=' } },
      { name: 'n', parameterType: { type: 'NUMERIC' }, parameterValue: { value: '1.10' } },
      { name: 'flag', parameterType: { type: 'BOOL' }, parameterValue: { value: 'true' } },
    ],
    rows: [
      [
        'it\'s "x"; --',
        '2',
        '2024-01-01T00:00:00.500000Z',
        null,
        '2024-02-29',
        '1000.0',
        '[1]',
        'AP8=',
        '1.1',
        'true',
        'true',
      ],
    ],
  },
  refused('SELECT @missing', "Query parameter 'missing' not found at [1:8]"),
  refused('SELECT ?', 'Query parameter number 1 is not defined (0 provided) at [1:8]'),
]

/** What BigQuery refuses, in its words; and what only this stand-in refuses, saying so. */
export const ERROR_CASES: readonly Case[] = [
  refused('SELECT x', 'Unrecognized name: x at [1:8]'),
  refused('SELECT\n  contry FROM visits', 'Unrecognized name: contry; Did you mean country? at [2:3]'),
  refused('SELECT v.x FROM visits AS v', 'Name x not found inside v at [1:10]'),
  refused('SELECT visits.id FROM visits AS v', 'Unrecognized name: visits at [1:8]'),
  refused('SELECT * FROM p.d.nothing', 'Not found: Table p:d.nothing was not found in location US'),
  refused('SELECT * FROM other.d.visits', 'Not found: Dataset other:d was not found in location US'),
  refused('SELECT 1 FROM', 'Syntax error: Unexpected end of statement at [1:14]'),
  refused('SELECT FROM visits', 'Syntax error: Unexpected keyword FROM at [1:8]'),
  refused('SELEC 1', 'Syntax error: Unexpected identifier "SELEC" at [1:1]'),
  refused('SELECT (1', 'Syntax error: Expected ")" but got end of statement at [1:10]'),
  refused('SELECT 1 2', 'Syntax error: Expected end of input but got integer literal "2" at [1:10]'),
  refused('SELECT 1; SELECT 2', 'Syntax error: Expected end of input but got keyword SELECT at [1:11]'),
  refused("SELECT 'abc", 'Syntax error: Unclosed string literal at [1:8]'),
  refused('SELECT `id FROM visits', 'Syntax error: Unclosed identifier literal at [1:8]'),
  refused('SELECT NO_SUCH_FUNCTION(1)', 'Function not found: NO_SUCH_FUNCTION at [1:8]'),
  refused("SELECT read_csv('/etc/passwd')", 'Function not found: READ_CSV at [1:8]'),
  refused("SELECT * FROM read_csv('/etc/passwd')", 'Not supported by the local BigQuery: table functions at [1:23]'),
  refused('SELECT * FROM `/etc/passwd`', 'Not found: Table p:d./etc/passwd was not found in location US'),
  refused('SELECT id FROM visits a JOIN visits b ON a.id = b.id', 'Column name id is ambiguous at [1:8]'),
  refused('SELECT 1 AS x, 2 AS X', 'Duplicate column names in the result are not supported. Found duplicate(s): X'),
  refused(
    'SELECT id, COUNT(*) FROM visits',
    'SELECT list expression references column id which is neither grouped nor aggregated at [1:8]',
  ),
  refused(
    'SELECT country FROM visits GROUP BY country ORDER BY id',
    'ORDER BY clause expression references column id which is neither grouped nor aggregated at [1:54]',
  ),
  refused(
    'SELECT DISTINCT country FROM visits ORDER BY id',
    'ORDER BY clause expression references column id which is not visible after SELECT DISTINCT at [1:46]',
  ),
  refused('SELECT id FROM visits WHERE id', 'WHERE clause should return type BOOL, but returns INT64 at [1:29]'),
  refused(
    'SELECT 1 UNION ALL SELECT 1, 2',
    'Queries in UNION ALL have mismatched column count; query 1 has 1 column, query 2 has 2 columns at [1:20]',
  ),
  refused("SELECT 1 UNION ALL SELECT 'a'", 'Column 1 in UNION ALL has incompatible types: INT64, STRING at [1:10]'),
  refused(
    'SELECT * FROM visits, UNNEST(id)',
    'Values referenced in UNNEST must be arrays. UNNEST contains expression of type INT64 at [1:23]',
  ),
  refused('SELECT (SELECT x FROM UNNEST([1, 2]) AS x)', 'Scalar subquery produced more than one element'),
  refused('SELECT * EXCEPT (nope) FROM visits', 'Column nope in SELECT * EXCEPT list does not exist at [1:18]'),
  refused('SELECT *', 'SELECT * must have a FROM clause at [1:8]'),
  refused(
    'SELECT * FROM visits TABLESAMPLE SYSTEM (10 PERCENT)',
    'Not supported by the local BigQuery: TABLESAMPLE at [1:22]',
  ),
  refused('SELECT * FROM `p.d.events_*`', 'Not supported by the local BigQuery: wildcard tables at [1:15]'),
  refused('DROP TABLE visits', 'Not supported by the local BigQuery: DROP TABLE at [1:6]'),
  refused('SELECT * FROM visits |> LIMIT 1', 'Not supported by the local BigQuery: pipe syntax at [1:22]'),
  refused("ATTACH 'x.db'", 'Syntax error: Unexpected identifier "ATTACH" at [1:1]'),
  refused('SELECT id FROM self_view', 'View p.d.self_view refers to itself'),
]
