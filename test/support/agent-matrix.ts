import assert from 'node:assert/strict'
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { type AgentBench, agentBench, type RunningAgent } from './agent.ts'
import { consumeTopic } from './consume.ts'
import { eventually } from './eventually.ts'
import { consumeByKcat } from './kcat.ts'
import { compareLines, lineNumbers, LogWriter } from './log-writer.ts'

/** What a case has at hand. `run` starts an agent; only one lives at a time. */
export interface Matrix {
  readonly writer: LogWriter
  readonly path: string
  run(): RunningAgent
  /** Waits until everything written so far is published. */
  caughtUp(): Promise<void>
  /** Writes steadily for at least so long, and rotates as often as `everyMs` goes into it: so long after the rotation before. */
  stream(durationMs: number, rotate?: () => void, everyMs?: number): Promise<void>
}

export type MatrixCase = (matrix: Matrix) => Promise<void>

/** Lines written at each beat of a stream: about 12,000 a second, as in the measurement of the peers. */
const BEAT_MS = 10
const LINES_A_BEAT = 120
const START_LINES = 200
const BULK_LINES = 10_000

/** The twelve everyday cases in which agents lose or double lines. */
export const CASES: Readonly<Record<string, MatrixCase>> = {
  'crash: killed twice amid a stream': async (m) => {
    const first = m.run()
    const stream = m.stream(5000)
    await delay(1000)
    await first.kill()
    const second = m.run()
    await delay(2000)
    await second.kill()
    m.run()
    await stream
  },
  'rename and create each second, live': async (m) => {
    m.run()
    await m.stream(5000, () => m.writer.rotate(), 1000)
  },
  'a burst of rotations between two looks': async (m) => {
    m.run()
    await m.caughtUp()
    for (let i = 0; i < 5; i++) {
      m.writer.write(BULK_LINES)
      m.writer.rotate()
    }
    m.writer.write(2000)
  },
  'copytruncate each second, live': async (m) => {
    m.run()
    await m.stream(5000, () => copytruncate(m.path), 1000)
  },
  'rename and create while stopped': async (m) => {
    await stopped(m)
    m.writer.write(BULK_LINES)
    m.writer.rotate()
    m.writer.write(BULK_LINES)
    m.run()
  },
  'two rotations while stopped': async (m) => {
    await stopped(m)
    for (let i = 0; i < 2; i++) {
      m.writer.write(BULK_LINES)
      m.writer.rotate()
    }
    m.writer.write(5000)
    m.run()
  },
  'copytruncate while stopped, regrown beyond the old position': async (m) => {
    m.writer.write(BULK_LINES)
    await stopped(m)
    m.writer.write(BULK_LINES)
    copytruncate(m.path)
    m.writer.write(BULK_LINES + 5000)
    m.run()
  },
  'killed, then rotated': async (m) => {
    const agent = m.run()
    m.writer.write(BULK_LINES)
    await agent.kill()
    m.writer.write(8000)
    m.writer.rotate()
    m.writer.write(BULK_LINES)
    m.run()
  },
  'deleted and created again with the same inode, larger': async (m) => {
    m.writer.write(5000)
    await stopped(m)
    rmSync(m.path)
    m.writer.write(12_000)
    m.run()
  },
  'truncated and regrown between two looks': async (m) => {
    m.writer.write(3000)
    m.run()
    await m.caughtUp()
    truncateSync(m.path, 0)
    m.writer.write(8000)
  },
  'the unread tail is only in a compressed copy': async (m) => {
    await stopped(m)
    m.writer.write(BULK_LINES)
    m.writer.rotate()
    writeFileSync(`${m.path}.1.gz`, gzipSync(readFileSync(`${m.path}.1`)))
    rmSync(`${m.path}.1`)
    m.writer.write(15_000)
    m.run()
  },
  'a line that is finished after a restart': async (m) => {
    const agent = m.run()
    const line = m.writer.lines(1)
    appendFileSync(m.path, line.slice(0, 50))
    await delay(500) // long enough to be seen
    await agent.stop()
    appendFileSync(m.path, line.slice(50))
    m.writer.write(1000)
    m.run()
  },
}

/** An agent that has published everything, and was stopped. */
export async function stopped(m: Matrix): Promise<void> {
  const agent = m.run()
  await m.caughtUp()
  await agent.stop()
}

function copytruncate(path: string): void {
  for (let n = 20; n >= 1; n--) if (existsSync(`${path}.${n}`)) renameSync(`${path}.${n}`, `${path}.${n + 1}`)
  copyFileSync(path, `${path}.1`)
  truncateSync(path, 0)
}

/** Runs one case on one pattern, or several, and reads the topic with an independent consumer. */
export async function runCase(t: TestContext, act: MatrixCase, ...paths: string[]): Promise<void> {
  const bench = await agentBench(t, { paths })
  const path = join(bench.folder, 'app.log')
  const writer = new LogWriter(path)
  let agent: RunningAgent | undefined
  writer.write(START_LINES)
  await act({
    writer,
    path,
    run: () => (agent = bench.start()),
    caughtUp: () => caughtUp(bench, writer),
    async stream(durationMs, rotate, everyMs = Infinity) {
      const begun = performance.now()
      let [left, rotated] = [rotate ? Math.floor(durationMs / everyMs) : 0, begun]
      for (; left > 0 || performance.now() - begun < durationMs; await delay(BEAT_MS)) {
        writer.write(LINES_A_BEAT)
        if (left === 0 || performance.now() - rotated < everyMs) continue
        rotate?.()
        ;[left, rotated] = [left - 1, performance.now()]
      }
    },
  })
  await caughtUp(bench, writer)
  assert.equal(await agent?.stop(), 0)
  const values = await consumeByKcat(bench.brokers, bench.topic)
  const numbers = lineNumbers(values ?? (await consumeTopic(bench.client, bench.topic)).map(({ value }) => value))
  assert.deepEqual(compareLines(numbers, writer.count), { missing: 0, doubled: 0, backward: 0, total: writer.count })
}

async function caughtUp({ client, topic }: AgentBench, { count }: LogWriter): Promise<void> {
  const whole = async () => {
    const values = (await consumeTopic(client, topic)).map(({ value }) => value)
    const { missing } = compareLines(lineNumbers(values), count)
    assert.equal(missing, 0)
    return true
  }
  await eventually(whole, { timeoutMs: 90_000, what: 'all lines published' })
}
