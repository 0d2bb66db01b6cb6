import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { administer } from '../local/kafka/index.ts'
import { startCluster } from './support/cluster.ts'
import { eventually } from './support/eventually.ts'
import { openPipeline, type Pipeline } from './support/pipeline.ts'

const PARTITIONS = 6
const LOGS = 8
const LINES_A_TURN = 5
const TURN_MS = 20

/** An agent with logs for several partitions, so that a transaction has more than one leader. */
function startAgent({ configFile, folder }: Pipeline, files: readonly string[]) {
  const logs = files.map((path) => ({ path, route: 'visits' }))
  const agent = { id: 'mover', logs, poll_interval: '50ms', lock_file: join(folder, 'agent.lock') }
  appendFileSync(configFile, `agent: ${JSON.stringify(agent)}\n`)
  const command = join(import.meta.dirname, 'support', 'run-agent.ts')
  const child = spawn(process.execPath, [command, configFile], { stdio: ['ignore', 'ignore', 'pipe'] })
  let output = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text))
  return { child, output: () => output }
}

async function rowsOf(pipeline: Pipeline): Promise<{ n: number; numbers: number }> {
  const [row] = await pipeline.query('SELECT COUNT(*) AS n, COUNT(DISTINCT number) AS numbers FROM logs.visits')
  return { n: Number(row?.['n']), numbers: Number(row?.['numbers']) }
}

void test('leaders, coordinators and replicas move and die amid traffic: agent and worker go on, each line has one row', {
  timeout: 180_000,
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-cluster-'))
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
  const nodes = await startCluster(folder)
  t.after(async () => {
    for (const node of [3, 2, 1]) await nodes.get(node)?.kill()
  })
  const broker = {
    brokers: nodes.get(1)?.brokers ?? '',
    unique: (base: string) => `${base}-${randomBytes(4).toString('hex')}`,
  }
  const routes = { visits: 'schema: visit.proto#shop.Visit' }
  const pipeline = await openPipeline(t, { partitions: PARTITIONS, broker, routes })
  const topic = pipeline.topics['visits'] ?? ''
  /** How many partitions a node leads; undefined until all have all their replicas, and it leads some. */
  const ledBy = async (node: number) => {
    const { topics } = await administer(pipeline.kafka, (admin) => admin.fetchTopicMetadata({ topics: [topic] }))
    const { partitions } = topics[0] ?? { partitions: [] }
    const led = partitions.filter(({ leader }) => leader === node).length
    return partitions.every(({ isr }) => isr.length === 3) && led > 0 ? led : undefined
  }

  const files = Array.from({ length: LOGS }, (_, log) => join(pipeline.folder, `visits-${log}.log`))
  let written = 0
  const write = () => {
    for (const file of files) {
      const lines = Array.from({ length: LINES_A_TURN }, () => `{"number":${written++},"page":"/p"}\n`)
      appendFileSync(file, lines.join(''))
    }
  }
  write()
  const agent = startAgent(pipeline, files)
  t.after(() => agent.child.kill('SIGKILL'))
  const worker = pipeline.worker()
  let writing = true
  const writer = (async () => {
    for (; writing; await delay(TURN_MS)) write()
  })()
  const goesOn = async (what: string) => {
    const upTo = written
    await eventually(async () => (await rowsOf(pipeline)).n >= upTo, { what }).catch((error: unknown) =>
      assert.fail(`${String(error)}\n${agent.output()}\n${worker.log.join('')}`),
    )
  }
  try {
    await goesOn('rows before anything')
    for (const [node, end] of [
      [2, 'kill'],
      [3, 'stop'],
      [3, 'kill'],
    ] as const) {
      const led = await eventually(() => ledBy(node), { what: `partitions led by ${node}` })
      await nodes.get(node)?.[end]()
      await goesOn(`rows after the ${end} of node ${node}, leader of ${led}`)
      t.diagnostic(`node ${node}: ${end}, it led ${led} of ${PARTITIONS}; ${written} lines`)
      await nodes.get(node)?.restart()
    }
  } finally {
    writing = false
    await writer
  }
  await goesOn('the last rows')
  assert.deepEqual(await rowsOf(pipeline), { n: written, numbers: written })
  assert.match(worker.log.join(''), /not fetched for now, trying again/)
  agent.child.kill('SIGTERM')
  await once(agent.child, 'exit')
  assert.equal(await worker.kill('SIGTERM'), 0)
})
