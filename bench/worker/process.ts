import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { Form } from './visits.ts'

const TICKS_A_SECOND = 100

/** Where a worker finds a stand-in, by how late it answers. */
export type Endpoints = Readonly<Record<number, { rest: string; grpc: string }>>

export interface Surroundings {
  readonly folder: string
  readonly brokers: string
  readonly endpoints: Endpoints
}

export interface Worker {
  readonly process: ChildProcess
  /** Rows that BigQuery has acknowledged. */
  rows(): Promise<number>
}

/** Starts a worker, and does `work` from its assignment on. */
export async function withWorker<T>(
  { folder, brokers, endpoints }: Surroundings,
  topic: string,
  { name, format, answerMs = 0 }: { name: string; format: Form['format']; answerMs?: number },
  work: (worker: Worker) => Promise<T>,
): Promise<T> {
  const file = join(folder, `${name}.yaml`)
  const port = await freePort()
  const { rest, grpc } = endpoints[answerMs] ?? { rest: '', grpc: '' }
  writeFileSync(
    file,
    `name: bench-${name}
project: millrace-bench
dataset: bench
kafka: { brokers: ["${brokers}"] }
consumer: { port: ${port} }
endpoints: { bigquery: "${rest}", bigquery_storage: "${grpc}" }
routes:
  visits: { topic: ${topic}, schema: visit.proto#Visit, format: ${format}, table: ${name.replaceAll('-', '_')} }
`,
  )
  const built = join(folder, 'built')
  const { scripts } = JSON.parse(readFileSync(join(built, 'package.json'), 'utf8')) as { scripts: { worker: string } }
  const [, ...command] = scripts.worker.split(' ') // without `node`
  const flags = process.env['WORKER_ARGS']?.split(' ') ?? []
  const worker = spawn(process.execPath, [...flags, ...command, '--config', file], {
    cwd: built,
    stdio: ['ignore', 'inherit', 'pipe'],
  })
  try {
    await saidAssigned(worker)
    return await work({ process: worker, rows: () => rowsOf(worker, port) })
  } finally {
    worker.kill('SIGTERM')
    if (worker.exitCode === null && worker.signalCode === null) await once(worker, 'exit')
  }
}

/** Its log is read to the end, so that it never waits for us. */
function saidAssigned(worker: ChildProcess): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  worker.stderr?.setEncoding('utf8').on('data', (text: string) => {
    if (text.includes('assigned')) resolve()
  })
  worker.once('exit', (code) => reject(new Error(`the worker ended with ${code}`)))
  return promise
}

async function rowsOf(worker: ChildProcess, port: number): Promise<number> {
  const ended = worker.exitCode ?? worker.signalCode
  if (ended !== null) throw new Error(`the worker ended with ${ended}`)
  const text = await fetch(`http://127.0.0.1:${port}/metrics`).then(
    (answer) => answer.text(),
    () => '', // not listening yet
  )
  return Number(/^millrace_rows (\d+)/m.exec(text)?.[1] ?? 0)
}

/** What a process says first. */
export async function firstLine(child: ChildProcess): Promise<string> {
  for await (const text of child.stdout?.setEncoding('utf8') ?? []) return String(text)
  throw new Error('a process of the benchmark ended at its start')
}

/** User and system time of a process and all its threads. */
export function cpuSeconds({ pid }: ChildProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND
}

/** Resident memory: now (`VmRSS`), or at most since the start (`VmHWM`). */
export function megabytes({ pid }: ChildProcess, which: 'VmRSS' | 'VmHWM'): number {
  return Number(new RegExp(`${which}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
