import { loadConfig } from '../shared/config/index.ts'
import { openWarehouse } from '../shared/warehouse/index.ts'
import { type Command, EXIT_OK } from './command.ts'
import { serviceError } from './service-error.ts'
import { printRows } from './table.ts'

export const command: Command = {
  usage: 'SQL',
  summary:
    'Asks the warehouse of the configuration, and prints the rows: as a table on a terminal, else as JSON lines.',
  options: { json: { type: 'boolean', help: 'JSON lines on a terminal too' } },
  arguments: [1, 1],
  async run(call) {
    const warehouse = openWarehouse(loadConfig(call.config), 'query')
    try {
      await printRows(
        warehouse.query(call.arguments[0] ?? ''),
        process.stdout,
        !process.stdout.isTTY || call.flag('json'),
      )
      return EXIT_OK
    } catch (error) {
      throw serviceError(error, 'correct the SQL')
    } finally {
      warehouse.close()
    }
  },
}
