import type { Config } from '../shared/config/index.ts'
import { UserError } from '../shared/errors.ts'
import { openWarehouse, type Warehouse } from '../shared/warehouse/index.ts'
import { describeServiceError } from './service-error.ts'

/** Work with the warehouse of the configuration. What goes wrong there is a UserError: `fix` where the service answered. */
export async function withWarehouse<T>(
  config: Config,
  entry: string,
  work: (warehouse: Warehouse) => Promise<T>,
  fix = 'check the rights with millrace check --connect',
): Promise<T> {
  const warehouse = openWarehouse(config, entry)
  try {
    return await work(warehouse)
  } catch (error) {
    if (error instanceof UserError) throw error
    const answered = (error as { errors?: unknown[] }).errors !== undefined
    const unanswered = config.endpoints.bigquery
      ? 'is it running? see endpoints in the configuration, and npm start'
      : 'check the network and the credentials; for the embedded cloud take the configuration that npm start prints'
    throw new UserError(describeServiceError(error), answered ? fix : unanswered)
  } finally {
    warehouse.close()
  }
}
