import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../telemetry/index.ts'
import type { RefusedRow } from './answers.ts'
import type { Appender } from './appender.ts'

const RETRY_MS_MAX = 30_000

/** Rows of one table at least once: what has no answer is sent again. */
export type DefaultWriter = ReturnType<typeof openDefaultWriter>

/**
 * @param open gives an appender to the table's default stream
 * @param ensure makes the table: it may have been deleted meanwhile
 */
export function openDefaultWriter(open: () => Appender, ensure: () => Promise<unknown>, log: Log) {
  let appender: Appender | undefined
  return {
    /**
     * Tries until the rows (the body of ProtoRows) are written, or until some are refused: then none of them was written.
     * Rejects only when `signal` fires, or when the table cannot be made.
     */
    async write(rows: Buffer, signal: AbortSignal): Promise<readonly RefusedRow[]> {
      for (let attempt = 1; ; attempt++) {
        appender ??= open()
        const answer = await appender.append(rows, undefined)
        if (answer.kind === 'written') return []
        if (answer.kind === 'refused') return answer.rows
        if (answer.kind === 'denied' || answer.kind === 'gone') await ensure()
        if (attempt === 1) log.warn({ stream: appender.stream, answer }, 'rows are not written yet: trying again')
        await delay(Math.min(2 ** attempt * 50, RETRY_MS_MAX), undefined, { signal })
      }
    },
  }
}
