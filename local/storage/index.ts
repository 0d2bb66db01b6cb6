import { createLog, type Log } from '../../shared/telemetry/index.ts'
import { type Clock, createClock, createFaults, createRecorder, type Faults, type Recorder } from '../faults/index.ts'
import { createBucket } from './buckets.ts'
import { Deliveries, type DeliveryOptions, type DeliveryTarget } from './delivery/index.ts'
import { Resumable } from './resumable.ts'
import { createRouter } from './routes.ts'
import { createStorageServer, listen } from './server.ts'
import type { Service } from './service.ts'
import { openStore } from './store.ts'
import { createUpdateLimit } from './update-limit.ts'

export type { Deliveries, DeliveryOptions, DeliveryTarget } from './delivery/index.ts'
export type { Delivery } from './model.ts'

export interface StorageOptions {
  /** The folder that holds everything; made if it is not there. */
  dataDir: string
  /** 0 or absent: any free port. */
  port?: number
  clock?: Clock
  faults?: Faults
  recorder?: Recorder
  /** Default: standard error. */
  log?: Log
  /** Where finalized objects go; can be changed later by `deliveries.setTargets`. */
  deliveries?: readonly DeliveryTarget[]
  deliveryOptions?: DeliveryOptions
  /** Buckets that are made at the start if they are not there. */
  buckets?: readonly string[]
  /** Whether an object takes only one change a second, as in the real service. Default true. */
  limitUpdates?: boolean
}

export interface RunningStorage {
  /** `http://127.0.0.1:port`, for `apiEndpoint` of the client. */
  endpoint: string
  deliveries: Deliveries
  stop(): Promise<void>
}

/**
 * Cloud Storage's JSON API on a folder of the local disk, on 127.0.0.1. What was acknowledged survives `kill -9`.
 * Throws UserError when the port is taken, or the folder in use or damaged.
 */
export async function startStorage(options: StorageOptions): Promise<RunningStorage> {
  const { dataDir, port = 0, limitUpdates = true, deliveryOptions } = options
  const { clock = createClock(), faults = createFaults(), recorder = createRecorder() } = options
  const store = await openStore(dataDir, clock)
  const log = options.log ?? createLog('local-storage')
  const deliveries = new Deliveries({
    store,
    faults,
    recorder,
    targets: options.deliveries ?? [],
    ...(deliveryOptions ? { options: deliveryOptions } : {}),
    endpoint: () => service.endpoint,
    log,
  })
  const service: Service = { store, deliveries, limit: createUpdateLimit(clock, limitUpdates), endpoint: '' }
  const resumable = new Resumable(service)
  const server = createStorageServer({
    route: createRouter(service, resumable),
    store,
    faults,
    recorder,
    log,
  })

  async function stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    server.closeAllConnections()
    await closed
    await deliveries.close()
    await resumable.close()
    await store.close()
  }

  try {
    service.endpoint = `http://127.0.0.1:${await listen(server, port)}`
    for (const bucket of options.buckets ?? []) {
      if (!store.state.buckets.has(bucket)) await createBucket(service, bucket, '', {})
    }
  } catch (error) {
    await store.close()
    throw error
  }
  deliveries.wake()
  return { endpoint: service.endpoint, deliveries, stop }
}
