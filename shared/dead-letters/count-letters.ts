import { type Config, tableId } from '../config/index.ts'
import { beside, DEAD_LETTERS_VIEW, type Warehouse } from '../warehouse/index.ts'

/** Open dead letters of one route and reason. */
export type LetterCount = Awaited<ReturnType<typeof countLetters>>[number]

/** Open dead letters since a time, by route and reason, the most frequent first. A view that is not there yet has none. */
export async function countLetters(warehouse: Warehouse, config: Config, since: Date) {
  const views = Object.values(config.routes).map(({ table }) => beside(table, DEAD_LETTERS_VIEW))
  const counts: { route: string; reason: string; letters: number; last: string }[] = []
  for (const [id, view] of new Map(views.map((view) => [tableId(view), view]))) {
    if (!(await warehouse.findTable(view))) continue
    const sql = `SELECT route, reason, COUNT(*) AS letters, MAX(failed_at) AS last FROM \`${id}\`
WHERE failed_at >= @since GROUP BY route, reason`
    for await (const { route, reason, letters, last } of warehouse.query(sql, { since }))
      counts.push({ route: String(route), reason: String(reason), letters: Number(letters), last: String(last) })
  }
  return counts.sort((a, b) => b.letters - a.letters)
}
