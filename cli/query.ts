import type { Warehouse } from '../shared/warehouse/index.ts'
import type { Command } from './command.ts'
import { printRows } from './table.ts'
import { withWarehouse } from './with-warehouse.ts'

export const command: Command = {
  usage: 'SQL',
  summary:
    'Asks the warehouse of the configuration, and prints the rows: as a table on a terminal, else as JSON lines.',
  options: { json: { help: 'JSON lines on a terminal too' } },
  async run(call) {
    const asJson = !process.stdout.isTTY || call.flag('json')
    const print = (warehouse: Warehouse) => printRows(warehouse.query(call.arguments[0] ?? ''), process.stdout, asJson)
    await withWarehouse(call.config(), 'query', print, 'correct the SQL')
  },
}
