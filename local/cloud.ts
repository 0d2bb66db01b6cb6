import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Config } from '../shared/config/index.ts'
import { orUserError } from '../shared/errors.ts'
import { startBigQuery } from './bigquery/index.ts'
import { createClock, createFaults, createRecorder, startFaultsServer } from './faults/index.ts'
import { startKafka } from './kafka/index.ts'
import { type Endpoints, provision } from './provision.ts'
import { startStorage } from './storage/index.ts'

export interface LocalOptions {
  readonly config: Config | undefined
  /** `.millrace`: the data of all parts lie below it. */
  readonly dataDir: string
  /** Where finalized objects are told; 0: nowhere. */
  readonly functionsPort: number
  /** BigQuery keeps no rows. */
  readonly count: boolean
}

/** The embedded cloud, running in this process (the broker in one of its own). */
export interface Local {
  readonly endpoints: Endpoints
  /** What another process needs in its environment to talk to it. */
  readonly env: Readonly<Record<string, string>>
  folder(name: string): string
  stop(): Promise<void>
}

/** Parts stop in the reverse order of their start, also when a later one could not start. */
class Parts {
  readonly #stops: (() => Promise<void>)[] = []

  async add<T extends { stop(): Promise<void> }>(starting: Promise<T>): Promise<T> {
    const part = await starting
    this.#stops.push(() => part.stop())
    return part
  }

  async stop(): Promise<void> {
    for (const stop of this.#stops.splice(0).reverse()) await stop()
  }
}

export async function startLocal(options: LocalOptions): Promise<Local> {
  const parts = new Parts()
  try {
    return await startParts(options, parts)
  } catch (error) {
    await parts.stop()
    throw error
  }
}

async function startParts({ config, dataDir, functionsPort, count }: LocalOptions, parts: Parts): Promise<Local> {
  const folder = (name: string) => join(resolve(dataDir), name)
  const make = () => ['bigquery', 'storage'].forEach((name) => mkdirSync(folder(name), { recursive: true }))
  orUserError(
    make,
    `cannot make the folders of ${dataDir}`,
    'make room or give rights, or choose another with --data DIR',
  )
  const shared = { clock: createClock(), faults: createFaults(), recorder: createRecorder() }
  const ports = config?.local.ports
  const deliveries = config?.bucket && functionsPort > 0 ? [delivery(config.bucket, functionsPort)] : []
  const kafka = await parts.add(
    startKafka({ dataDir: resolve(dataDir), ...(ports?.kafka ? { port: ports.kafka } : {}) }),
  )
  const bigquery = await parts.add(
    startBigQuery({
      ...shared,
      dataDir: folder('bigquery'),
      ports: { rest: ports?.bigquery ?? 0, grpc: ports?.bigquery_storage ?? 0 },
      store: count ? 'count' : 'disk',
    }),
  )
  const storage = await parts.add(
    startStorage({ ...shared, dataDir: folder('storage'), port: ports?.storage ?? 0, deliveries }),
  )
  // What was given up in an earlier life may go now: the function was repaired, or it was not there.
  await storage.deliveries.redeliver()
  const faults = await parts.add(startFaultsServer({ ...shared, port: ports?.faults ?? 0 }))
  const endpoints: Endpoints = {
    kafka: kafka.brokers,
    bigquery: bigquery.rest,
    bigqueryStorage: bigquery.grpc,
    storage: storage.endpoint,
    faults: faults.endpoint,
  }
  if (config) await provision(config, endpoints)
  return { endpoints, env: environment(endpoints), folder, stop: () => parts.stop() }
}

function delivery(bucket: string, port: number) {
  return { bucket, url: `http://127.0.0.1:${port}/`, form: 'eventarc' as const }
}

function environment(endpoints: Endpoints): Record<string, string> {
  return {
    MILLRACE_KAFKA_BROKERS: endpoints.kafka,
    MILLRACE_KAFKA_AUTH: 'none',
    MILLRACE_KAFKA_TLS: 'false',
    MILLRACE_ENDPOINTS_BIGQUERY: endpoints.bigquery,
    MILLRACE_ENDPOINTS_BIGQUERY_STORAGE: endpoints.bigqueryStorage,
    MILLRACE_ENDPOINTS_STORAGE: endpoints.storage,
  }
}
