import { loadConfig } from '../shared/config/index.ts'
import type { Command } from './command.ts'
import { printRows } from './table.ts'
import { withWarehouse } from './with-warehouse.ts'

export const command: Command = {
  usage: 'SQL',
  summary:
    'Asks the warehouse of the configuration, and prints the rows: as a table on a terminal, else as JSON lines.',
  options: { json: { type: 'boolean', help: 'JSON lines on a terminal too' } },
  async run(call) {
    const asJson = !process.stdout.isTTY || call.flag('json')
    await withWarehouse(loadConfig(call.config), 'query', 'correct the SQL', (warehouse) =>
      printRows(warehouse.query(call.arguments[0] ?? ''), process.stdout, asJson),
    )
  },
}
