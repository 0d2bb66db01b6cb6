/** What an audit looks at, all names as they stand between backquotes. */
export interface AuditTables {
  /** Tables of routes, each with the name of its metadata column, and the condition without which it refuses to be asked. */
  readonly routes: readonly { readonly table: string; readonly metadata: string; readonly everyRow: string }[]
  /** The views of open dead letters and of finished sources, one of each for a dataset. */
  readonly deadLetters: readonly string[]
  readonly sources: readonly string[]
}

/** At most so many faults are listed; the counts are of all. */
export const FAULTS_MAX = 1000

/**
 * One query that shows every gap and every overlap (DESIGN, promise 4): the extents of a source's events, rows and dead
 * letters alike, must tile its file from 0 to its end. Where the end is, `millrace_sources` says; a source that is not
 * in it is still growing and is vouched for up to its last event.
 *
 * With a day (the parameter `day`, a text such as 2026-01-31) it looks at the sources that took in an event, or were finished, on that day.
 * The answer has one row for each fault, after a first one with the totals.
 */
export function auditSql(tables: AuditTables, ofOneDay: boolean): string {
  return `WITH
events AS (${events(tables).join('\nUNION ALL\n')}),
finished AS (
  SELECT source, MIN(start) AS file_start, MAX(size) AS file_end, MAX(finished_at) AS finished_at
  FROM (${sources(tables).join('\nUNION ALL\n')})
  GROUP BY source
),
chosen AS (
  SELECT source FROM events${ofOneDay ? ' WHERE DATE(seen_at) = DATE(@day)' : ''}
  UNION DISTINCT
  SELECT source FROM finished${ofOneDay ? ' WHERE DATE(finished_at) = DATE(@day)' : ''}
),
extents AS (
  SELECT
    e.source,
    e.position,
    e.position + e.size AS extent_end,
    MAX(e.position + e.size) OVER (
      PARTITION BY e.source ORDER BY e.position, e.size ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS covered
  FROM events AS e
  JOIN chosen AS c ON c.source = e.source
),
ends AS (
  SELECT c.source, IFNULL(MAX(x.extent_end), 0) AS covered, MAX(f.file_end) AS file_end
  FROM chosen AS c
  LEFT JOIN extents AS x ON x.source = c.source
  LEFT JOIN finished AS f ON f.source = c.source
  GROUP BY c.source
),
faults AS (
  SELECT 'gap' AS kind, source, IFNULL(covered, 0) AS from_position, position AS to_position
  FROM extents WHERE position > IFNULL(covered, 0)
  UNION ALL
  SELECT 'overlap', source, position, LEAST(covered, extent_end) FROM extents WHERE position < covered
  UNION ALL
  SELECT 'gap', source, covered, file_end FROM ends WHERE covered < file_end
  UNION ALL
  SELECT 'beyond the end', source, file_end, covered FROM ends WHERE covered > file_end
)
SELECT 'total' AS kind, CAST(NULL AS STRING) AS source,
  (SELECT COUNT(*) FROM chosen) AS sources,
  (SELECT COUNT(*) FROM ends WHERE file_end IS NOT NULL) AS finished,
  (SELECT COUNT(*) FROM extents) AS events,
  (SELECT COUNT(*) FROM faults) AS faults,
  CAST(NULL AS INT64) AS from_position, CAST(NULL AS INT64) AS to_position
UNION ALL
SELECT kind, source, NULL, NULL, NULL, NULL, from_position, to_position FROM (
  SELECT kind, source, from_position, to_position FROM faults ORDER BY source, from_position LIMIT ${FAULTS_MAX}
)`
}

function events({ routes, deadLetters }: AuditTables): string[] {
  return [
    ...routes.map(
      ({ table, metadata: m, everyRow }) =>
        `SELECT t.${m}.source AS source, t.${m}.position AS position, t.${m}.size AS size, t.${m}.ingested_at AS seen_at FROM \`${table}\` AS t WHERE t.${m}.source IS NOT NULL AND ${everyRow}`,
    ),
    ...deadLetters.map(
      (view) => `SELECT source, position, size, failed_at AS seen_at FROM \`${view}\` WHERE source IS NOT NULL`,
    ),
  ]
}

function sources({ sources: views }: AuditTables): string[] {
  if (views.length === 0)
    return ['SELECT CAST(NULL AS STRING) AS source, 0 AS start, 0 AS size, CURRENT_TIMESTAMP() AS finished_at LIMIT 0']
  return views.map((view) => `SELECT source, start, size, finished_at FROM \`${view}\``)
}
