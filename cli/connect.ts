import type { Config } from '../shared/config/index.ts'
import { openWarehouse } from '../shared/warehouse/index.ts'
import { connectAll as connectEdge, probe } from './connect-edge.ts'

/** Asks every service that the configuration names for something harmless. @throws UserError that lists what failed */
export function connectAll(config: Config): Promise<void> {
  return connectEdge(config, [probe(`BigQuery, project ${config.project}`, () => askWarehouse(config))])
}

async function askWarehouse(config: Config): Promise<void> {
  const warehouse = openWarehouse(config, 'check')
  try {
    for await (const _row of warehouse.query('SELECT 1 AS one')) return
  } finally {
    warehouse.close()
  }
}
