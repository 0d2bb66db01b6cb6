import { setTimeout as delay } from 'node:timers/promises'
import type { FinalizedStream } from '../../shared/chunks/index.ts'
import type { TableName } from '../../shared/config/index.ts'
import type { Appender, RefusedRow, Warehouse } from '../../shared/warehouse/index.ts'

/** A quota or a column that has not spread yet: the same request again, after this time, for this long. */
const LATER_PAUSE_MS = 2_000
const LATER_FOR_MS = 5 * 60_000

/** Rows on their way to a PENDING stream, which exists from the first row on. Nobody sees them before it is committed. */
export function openPendingStream(warehouse: Warehouse, table: TableName, descriptor: object) {
  let sent = 0
  let appender: Appender | undefined
  return {
    /**
     * Appends `count` rows (the body of ProtoRows); gives back those that BigQuery refuses: then none of them was written.
     * Throws at anything that leaves the stream's content in doubt: then it must not be committed.
     */
    async append(rows: Buffer, count: number): Promise<readonly RefusedRow[]> {
      if (count === 0) return []
      appender ??= warehouse.openAppender(await warehouse.createStream(table, 'PENDING'), descriptor)
      for (const begunMs = Date.now(); ; await delay(LATER_PAUSE_MS)) {
        const answer = await appender.append(rows, sent)
        if (answer.kind === 'written') {
          sent += count
          return []
        }
        if (answer.kind === 'refused') return answer.rows
        const mayWait = answer.kind === 'later' && Date.now() - begunMs < LATER_FOR_MS
        if (!mayWait) throw new Error(`append to ${appender.stream}: ${answer.kind}: ${answer.message}`)
      }
    },

    /** Finalizes; undefined when there was no row. Throws when the stream holds another number of rows than were sent. */
    async finish(): Promise<FinalizedStream | undefined> {
      appender?.close()
      if (!appender || sent === 0) return undefined
      const { stream } = appender
      const answer = await warehouse.finalizeStream(stream)
      const rows = answer.kind === 'finalized' ? answer.rows : 'no'
      if (rows !== sent) throw new Error(`${stream} holds ${rows} rows, ${sent} were sent`)
      return { stream, count: sent }
    },

    close: () => appender?.close(),
  }
}
