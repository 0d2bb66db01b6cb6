import { runAudit } from '../shared/audit/index.ts'
import { UserError } from '../shared/errors.ts'
import type { Command } from './command.ts'
import { withWarehouse } from './with-warehouse.ts'

export const command: Command = {
  summary: `Proves by SQL that the events of every source tile its file: no gap, no overlap. Exit 1 when there is one.
It vouches for finished sources whole, and for growing ones up to their last event. A host that died with unread files
is outside the proof.`,
  options: {
    day: { value: 'YYYY-MM-DD', help: 'only sources that took in an event, or were finished, on this day (UTC)' },
  },
  async run(call) {
    const day = call.text('day')
    if (day !== undefined && !isDay(day)) throw new UserError(`--day ${day}: not a day`, 'write it as 2026-01-31')
    const config = call.config()
    const audited = withWarehouse(config, 'audit', (warehouse) => runAudit(warehouse, config, day ? { day } : {}))
    const { listed, ...report } = await audited
    for (const fault of listed) process.stdout.write(`${JSON.stringify(fault)}\n`)
    process.stdout.write(`${JSON.stringify(report)}\n`)
    return report.faults > 0
  },
}

function isDay(text: string): boolean {
  // null for what is no time; of 2026-02-30 it is 2026-03-02.
  return String(new Date(`${text}T00:00:00Z`).toJSON()).startsWith(`${text}T`)
}
