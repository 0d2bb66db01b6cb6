import { parseArgs } from 'node:util'
import { Client, credentials } from '@grpc/grpc-js'
import protobuf from 'protobufjs'
import { storageRoot } from '../local/bigquery/rows/descriptor.ts'
import { BigQueryProcess, PROJECT } from '../test/conformance/bigquery-process.ts'
import { Result } from './result.ts'

/**
 * `npm run bench -- stand-ins [--rows N] [--check]`: what the embedded cloud can take, so that it is never what a
 * benchmark of the product measures. Rows of 200 bytes with ten flat columns, over one connection, in appends of 1 MB,
 * acknowledged in order; the server is a process of its own, and its CPU and memory are what is measured.
 */

const { values } = parseArgs({
  options: { rows: { type: 'string', default: '10000000' }, check: { type: 'boolean', default: false } },
})
const ROWS = Number(values.rows)
const ROW_BYTES = 200
const ROWS_AN_APPEND = 5_000
const IN_FLIGHT = 8
const PATH = '/google.cloud.bigquery.storage.v1.BigQueryWrite/AppendRows'
const V1 = 'google.cloud.bigquery.storage.v1'

const COLUMNS = [
  ['id', 'INT64', 3],
  ['time', 'TIMESTAMP', 3],
  ['host', 'STRING', 9],
  ['method', 'STRING', 9],
  ['path', 'STRING', 9],
  ['status', 'INT64', 5],
  ['bytes', 'INT64', 3],
  ['seconds', 'FLOAT64', 1],
  ['secure', 'BOOL', 8],
  ['agent', 'STRING', 9],
] as const

const descriptor = {
  name: 'Row',
  field: COLUMNS.map(([name, , type], at) => ({ name, number: at + 1, type, label: 1 })),
}

/** A row of exactly 200 bytes: the last column fills up what the others leave. */
function encodeRow(id: number): Buffer {
  const write = (agent: string) => {
    const row = protobuf.Writer.create()
    row
      .uint32(8)
      .int64(id)
      .uint32(16)
      .int64(1_700_000_000_000_000 + id)
    row
      .uint32(26)
      .string('host-17.example')
      .uint32(34)
      .string('GET')
      .uint32(42)
      .string(`/shop/items/${id % 1000}`)
    row
      .uint32(48)
      .int32(200)
      .uint32(56)
      .int64(id % 65_536)
      .uint32(65)
      .double(id / 1000)
      .uint32(72)
      .bool(true)
    return Buffer.from(row.uint32(82).string(agent).finish())
  }
  return write('m'.repeat(ROW_BYTES - write('').length))
}

/** The body of ProtoRows with the rows from `first` on. */
function encodeRows(first: number): Buffer {
  const rows = protobuf.Writer.create()
  for (let id = first; id < first + ROWS_AN_APPEND; id++) rows.uint32(10).bytes(encodeRow(id))
  return Buffer.from(rows.finish())
}

/** One request; rows are always the same bytes, so that the client costs little. */
function request(stream: string, offset: number, rows: Buffer, first: boolean): Buffer {
  const type = storageRoot.lookupType('google.protobuf.DescriptorProto')
  const schema = protobuf.Writer.create()
    .uint32(10)
    .bytes(type.encode(type.fromObject(descriptor)).finish())
    .finish()
  const proto = protobuf.Writer.create()
  if (first) proto.uint32(10).bytes(schema)
  const head = protobuf.Writer.create().uint32(10).string(stream)
  head.uint32(18).bytes(protobuf.Writer.create().uint32(8).int64(offset).finish())
  return Buffer.from(head.uint32(34).bytes(proto.uint32(18).bytes(rows).finish()).finish())
}

/** Appends all rows, `IN_FLIGHT` requests under way; checks that every acknowledgement comes in order. */
async function pump(server: BigQueryProcess, stream: string, total: number): Promise<number> {
  const client = new Client(server.grpc, credentials.createInsecure())
  const answer = storageRoot.lookupType(`${V1}.AppendRowsResponse`)
  const identity = (bytes: Buffer) => bytes
  const call = client.makeBidiStreamRequest(PATH, identity, identity)
  const rows = encodeRows(0)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let [sent, acknowledged] = [0, 0]
  const send = () => {
    while (sent < total && sent - acknowledged < IN_FLIGHT * ROWS_AN_APPEND) {
      call.write(request(stream, sent, rows, sent === 0))
      sent += ROWS_AN_APPEND
    }
  }
  call.on('error', reject)
  call.on('data', (bytes: Buffer) => {
    const response = answer.toObject(answer.decode(bytes), { longs: Number }) as {
      appendResult?: { offset?: { value?: number } }
      error?: { message: string }
    }
    if (!response.appendResult || (response.appendResult.offset?.value ?? 0) !== acknowledged) {
      return reject(new Error(`not acknowledged in order: ${JSON.stringify(response)}`))
    }
    acknowledged += ROWS_AN_APPEND
    if (acknowledged >= total) resolve()
    else send()
  })
  const begun = performance.now()
  send()
  await promise
  const seconds = (performance.now() - begun) / 1000
  call.end()
  client.close()
  return seconds
}

async function newStream(server: BigQueryProcess): Promise<string> {
  const fields = COLUMNS.map(([name, type]) => ({ name, type }))
  const bigquery = server.bigquery()
  await bigquery.createDataset('bench')
  await bigquery.dataset('bench').createTable('rows', { schema: { fields } })
  const parent = `projects/${PROJECT}/datasets/bench/tables/rows`
  const [stream] = await server.writeClient().createWriteStream({ parent, writeStream: { type: 'COMMITTED' } })
  return stream.name ?? ''
}

async function inServer<T>(
  store: 'disk' | 'count',
  work: (server: BigQueryProcess, stream: string) => Promise<T>,
): Promise<T> {
  const server = await BigQueryProcess.start(store)
  try {
    return await work(server, await newStream(server))
  } finally {
    await server.dispose()
  }
}

async function durable(server: BigQueryProcess, stream: string) {
  const total = Math.min(ROWS, 3_000_000)
  const before = await server.usage()
  const seconds = await pump(server, stream, total)
  const after = await server.usage()
  return {
    rowsPerSecond: total / seconds,
    cpuSecondsPerMillion: ((after.cpuSeconds - before.cpuSeconds) / total) * 1e6,
  }
}

async function queryable(server: BigQueryProcess, stream: string) {
  await pump(server, stream, ROWS)
  const bigquery = server.bigquery()
  const sql = 'SELECT COUNT(*) AS n, COUNT(DISTINCT id) AS ids, SUM(bytes) AS bytes FROM bench.rows'
  const times: number[] = []
  let rows: { n: number; ids: number } | undefined
  for (let run = 0; run < 2; run++) {
    const begun = performance.now()
    const [answer] = await bigquery.query({ query: sql, useLegacySql: false })
    times.push((performance.now() - begun) / 1000)
    rows = answer[0] as { n: number; ids: number }
  }
  const { rssBytes } = await server.usage()
  return { counted: rows?.n ?? -1, firstSeconds: times[0] ?? 0, secondSeconds: times[1] ?? 0, rssMB: rssBytes / 1e6 }
}

async function idle(server: BigQueryProcess): Promise<number> {
  const before = await server.usage()
  await new Promise((resolve) => setTimeout(resolve, 5_000))
  const after = await server.usage()
  return ((after.cpuSeconds - before.cpuSeconds) / 5) * 100
}

const written = await inServer('disk', async (server, stream) => ({
  ...(await durable(server, stream)),
  idlePercent: await idle(server),
}))
const counted = await inServer('count', durable)
const queried = await inServer('disk', queryable)

const result = new Result('stand-ins')
result.bar('durableRowsPerSecond', written.rowsPerSecond, 'at least', 300_000)
result.bar('countCpuSecondsPerMillion', counted.cpuSecondsPerMillion, 'below', 0.4)
result.bar('rowsSeenByQuery', queried.counted, 'at least', ROWS)
result.bar('rowsSeenByQuery, not more', queried.counted, 'at most', ROWS)
result.bar('residentMB', queried.rssMB, 'at most', 2_000)
result.bar('idleCpuPercent', written.idlePercent, 'below', 1)
result.figure('durableCpuSecondsPerMillion', written.cpuSecondsPerMillion)
result.figure('countRowsPerSecond', counted.rowsPerSecond)
result.figure('firstQuerySeconds', queried.firstSeconds)
result.figure('secondQuerySeconds', queried.secondSeconds)
result.end(values.check)
