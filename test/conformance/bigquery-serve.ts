import { createInterface } from 'node:readline'
import { startBigQuery } from '../../local/bigquery/index.ts'
import { createClock, createFaults, createRecorder, startFaultsServer } from '../../local/faults/index.ts'

/**
 * The local BigQuery as a process of its own, for tests that kill it and benchmarks that measure it:
 * `bigquery-serve.ts DATA_DIR REST_PORT GRPC_PORT STORE`. A line `usage` is answered by what it has used so far.
 */

const [dataDir, rest, grpc, store] = process.argv.slice(2)
if (dataDir === undefined || (store !== 'disk' && store !== 'count'))
  throw new Error('DATA_DIR REST_PORT GRPC_PORT STORE')

const parts = { clock: createClock(), faults: createFaults(), recorder: createRecorder() }
const bigquery = await startBigQuery({ ...parts, dataDir, store, ports: { rest: Number(rest), grpc: Number(grpc) } })
const faults = await startFaultsServer(parts)
answer({ rest: bigquery.rest, grpc: bigquery.grpc, faults: faults.endpoint })

function answer(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

const lines = createInterface({ input: process.stdin })
lines.on('line', () => {
  const { user, system } = process.cpuUsage()
  answer({ cpuSeconds: (user + system) / 1e6, rssBytes: process.resourceUsage().maxRSS * 1024 })
})
// The end of its input is the end of the test, however that ends.
lines.on('close', () => process.exit(0))
