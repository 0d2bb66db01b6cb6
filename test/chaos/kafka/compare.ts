import type { Warehouse } from '../../../shared/warehouse/index.ts'
import { BROKEN_EVERY, type PublishedSource } from './publisher.ts'

/** What the table and the dead letters hold of the published events. */
export interface Places {
  /** Published places that are in neither. */
  readonly missing: number
  /** Copies of published places beyond the first. */
  readonly duplicates: number
  /** Rows and dead letters of places that were never published, or not with this content, or that should be the other. */
  readonly alien: number
}

/** Compares, by SQL, the set of published (source, position) with what rows and open dead letters hold. */
export async function comparePlaces(warehouse: Warehouse, published: readonly PublishedSource[]): Promise<Places> {
  const sources = published.map(({ source, events }) => `SELECT '${source}' AS source, ${events} AS events`)
  const sql = `WITH
sources AS (${sources.join(' UNION ALL ')}),
published AS (SELECT source, position FROM sources, UNNEST(GENERATE_ARRAY(0, events - 1)) AS position),
carried AS (
  SELECT millrace.source AS source, millrace.position AS position,
    number = millrace.position AND MOD(number, ${BROKEN_EVERY}) != 0 AND LENGTH(text) = MOD(number, 200) AS is_true
  FROM logs.events
  UNION ALL
  SELECT source, position,
    bytes = CAST(CONCAT('broken ', CAST(position AS STRING)) AS BYTES) AND MOD(position, ${BROKEN_EVERY}) = 0
  FROM logs.millrace_dead_letters_open
),
copies AS (SELECT source, position, COUNT(*) AS copies FROM carried WHERE is_true GROUP BY source, position)
SELECT
  (SELECT COUNT(*) FROM published AS p LEFT JOIN copies AS c ON c.source = p.source AND c.position = p.position
    WHERE c.copies IS NULL) AS missing,
  (SELECT IFNULL(SUM(c.copies - 1), 0) FROM copies AS c JOIN published AS p
    ON c.source = p.source AND c.position = p.position) AS duplicates,
  (SELECT COUNT(*) FROM carried WHERE is_true IS NOT TRUE) + (SELECT COUNT(*) FROM copies AS c LEFT JOIN published AS p
    ON c.source = p.source AND c.position = p.position WHERE p.position IS NULL) AS alien`
  const [row] = await Array.fromAsync(warehouse.query(sql))
  if (!row) throw new Error('the comparison has no answer')
  return { missing: Number(row['missing']), duplicates: Number(row['duplicates']), alien: Number(row['alien']) }
}
