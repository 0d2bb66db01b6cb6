import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, createClock, createFaults, createRecorder, type Faults, type Recorder } from '../faults/index.ts'
import { TableWatch } from './catalog/table-watch.ts'
import { Jobs } from './rest/jobs.ts'
import { startRestServer } from './rest/server.ts'
import { Store } from './store/store.ts'
import type { Surroundings } from './under-fault.ts'
import { Appends } from './write/append.ts'
import { startWriteServer } from './write/server.ts'
import { Streams } from './write/streams.ts'

export interface BigQueryOptions {
  /** The folder that holds everything; made if it is not there. A store that only counts does not touch it. */
  dataDir: string
  /** 0 or absent: any free port. */
  ports?: { rest?: number; grpc?: number }
  /** `disk` (default) keeps rows; `count` keeps nothing, enforces offsets, and answers no query. */
  store?: 'disk' | 'count'
  /** Answers of AppendRows come so much later, as from far away; their order and effects are the same. */
  answerAfterMs?: number
  clock?: Clock
  faults?: Faults
  recorder?: Recorder
}

export interface RunningBigQuery {
  /** `http://127.0.0.1:port`, for `apiEndpoint` of `@google-cloud/bigquery`. */
  rest: string
  /** `127.0.0.1:port`, for `apiEndpoint` and `port` of `@google-cloud/bigquery-storage`, without encryption. */
  grpc: string
  stop(): Promise<void>
}

/**
 * BigQuery's REST API and Storage Write API on a folder of the local disk, on 127.0.0.1. What was acknowledged survives
 * `kill -9` (docs/protocols/local-bigquery.md). Throws UserError when a port is taken, or the folder in use or damaged.
 */
export async function startBigQuery(options: BigQueryOptions): Promise<RunningBigQuery> {
  const { clock = createClock(), faults = createFaults(), recorder = createRecorder() } = options
  const counting = options.store === 'count'
  const store = counting ? Store.counting() : await Store.open(options.dataDir)
  const tmp = counting ? mkdtempSync(join(tmpdir(), 'millrace-')) : join(options.dataDir, 'tmp')
  mkdirSync(tmp, { recursive: true })
  const watch = new TableWatch(clock)
  const streams = new Streams(store, clock, watch)
  const appends = new Appends(store, streams, clock, watch)
  const context = { store, clock, watch, jobs: new Jobs(store, clock, tmp) }
  const stops: (() => Promise<void>)[] = []
  const stop = async () => {
    await Promise.all(stops.map((each) => each()))
    store.close()
    if (counting) rmSync(tmp, { recursive: true, force: true })
  }
  try {
    const surroundings = (service: 'bigquery' | 'bigquery-write'): Surroundings => ({
      clock,
      strike(method, resource, entry) {
        const call = { service, method, resource, entry }
        recorder.record(call)
        return faults.next(call)
      },
    })
    const rest = await startRestServer(context, surroundings('bigquery'), options.ports?.rest ?? 0)
    stops.push(rest.stop)
    const write = {
      store,
      streams,
      appends,
      surroundings: surroundings('bigquery-write'),
      port: options.ports?.grpc ?? 0,
      answerAfterMs: options.answerAfterMs ?? 0,
    }
    const grpc = await startWriteServer(write)
    stops.push(grpc.stop)
    return { rest: rest.origin, grpc: `127.0.0.1:${grpc.port}`, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
