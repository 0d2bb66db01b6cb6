import { openCodec } from '../shared/codec/index.ts'
import { type Route, tableId } from '../shared/config/index.ts'
import type { TableField } from '../shared/schema/index.ts'
import { planChange, refusedChange, tableSpec, type Warehouse } from '../shared/warehouse/index.ts'
import type { Command } from './command.ts'
import { routeOf } from './route.ts'
import { withWarehouse } from './with-warehouse.ts'

export const command: Command = {
  usage: 'ROUTE',
  summary: "Prints the BigQuery schema of a route's table.",
  options: {
    diff: { help: 'compares it with the table; exit 1 when they differ' },
    apply: { help: 'creates the table, or changes it where BigQuery can' },
  },
  async run(call) {
    const config = call.config()
    const route = routeOf(config, call.arguments[0] ?? '')
    const { fields } = openCodec(route)
    if (!call.flag('diff') && !call.flag('apply')) {
      process.stdout.write(`${JSON.stringify(fields, null, 2)}\n`)
      return false
    }
    const change = call.flag('apply') ? apply : diff
    return withWarehouse(config, 'schema', (warehouse) => change(warehouse, route, fields))
  },
}

async function apply(warehouse: Warehouse, route: Route, fields: readonly TableField[]): Promise<boolean> {
  const { kind, gained } = await warehouse.ensureTable(route.table, tableSpec(route, fields), { adopt: true })
  process.stdout.write(`${tableId(route.table)}: ${kind}${gained.length > 0 ? `, gained ${gained.join(', ')}` : ''}\n`)
  return false
}

async function diff(warehouse: Warehouse, route: Route, fields: readonly TableField[]): Promise<boolean> {
  const existing = await warehouse.findTable(route.table)
  if (!existing) {
    process.stdout.write(`${tableId(route.table)}: there is no such table\n`)
    return true
  }
  const change = planChange(existing.fields, fields)
  if (change.kind === 'same') return false
  if (change.kind === 'refused') throw refusedChange(route.table, change.problems, existing.fields, fields)
  for (const column of change.gained) process.stdout.write(`+ ${column}\n`)
  return true
}
