import { setTimeout as delay } from 'node:timers/promises'
import type { TableName } from '../../shared/config/index.ts'
import type { Log } from '../../shared/telemetry/index.ts'
import { type Appender, DEAD_LETTERS, defaultStream, type Warehouse } from '../../shared/warehouse/index.ts'

/** Rows of one request: well below the service's 20 MB. */
const REQUEST_BYTES_MAX = 8 * 1024 * 1024
const RETRY_MS_MAX = 30_000

/** Dead letters of one dataset: at least once, each written before `write` resolves. */
export interface LetterWriter {
  /** Tries until it is done. Rejects only when `signal` fires, or when BigQuery refuses a letter as such. */
  write(entries: readonly Buffer[], signal: AbortSignal): Promise<void>
  close(): void
}

/** @param table the table of dead letters */
export function openLetterWriter(
  warehouse: Warehouse,
  table: TableName,
  ensure: () => Promise<unknown>,
  log: Log,
): LetterWriter {
  let appender: Appender | undefined

  const writeOnce = async (rows: Buffer): Promise<string | undefined> => {
    appender ??= warehouse.openAppender(defaultStream(table), DEAD_LETTERS.descriptor)
    const answer = await appender.append(rows, undefined)
    if (answer.kind === 'written') return undefined
    if (answer.kind === 'refused')
      throw new Error(`BigQuery refuses a dead letter: ${answer.rows.map((row) => row.message).join('; ')}`)
    if (answer.kind === 'denied' || answer.kind === 'gone') await ensure()
    return `${answer.kind}: ${answer.message}`
  }

  const write = async (rows: Buffer, signal: AbortSignal) => {
    for (let attempt = 1; ; attempt++) {
      const failure = await writeOnce(rows)
      if (failure === undefined) return
      if (attempt === 1) log.warn({ failure }, 'dead letters are not written yet: trying again')
      await delay(Math.min(2 ** attempt * 50, RETRY_MS_MAX), undefined, { signal })
    }
  }

  return {
    async write(entries, signal) {
      await Promise.all(requestsOf(entries).map((rows) => write(rows, signal)))
    },
    close: () => appender?.close(),
  }
}

function requestsOf(entries: readonly Buffer[]): Buffer[] {
  const requests: Buffer[][] = [[]]
  let bytes = 0
  for (const entry of entries) {
    if (bytes > 0 && bytes + entry.length > REQUEST_BYTES_MAX) {
      requests.push([])
      bytes = 0
    }
    requests.at(-1)?.push(entry)
    bytes += entry.length
  }
  return requests.map((request) => Buffer.concat(request))
}
