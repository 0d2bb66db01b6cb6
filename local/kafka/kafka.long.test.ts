import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { eventually } from '../../test/support/eventually.ts'
import { startKafka } from './index.ts'

const ROUNDS = 25
/** Longer than a start takes on a busy machine, so that kills fall before, into and after it. */
const KILL_WITHIN_MS = 2500

test('an owner that is killed at any instant of a start leaves no process, and the next start works', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'millrace-kafka-chaos-'))
  t.after(() => rmSync(dataDir, { recursive: true, force: true, maxRetries: 3 }))
  const env = { ...process.env, KAFKA_BROKERS: '', KAFKA_HOME: '' }
  const code = `
    const { startKafka } = await import(${JSON.stringify(join(import.meta.dirname, 'index.ts'))})
    await startKafka({ dataDir: ${JSON.stringify(dataDir)} })`
  for (let round = 0; round < ROUNDS; round++) {
    const owner = spawn(process.execPath, ['--input-type=module', '-e', code], { env, stdio: 'inherit' })
    const afterMs = (KILL_WITHIN_MS * round) / ROUNDS
    await delay(afterMs)
    owner.kill('SIGKILL')
    await once(owner, 'exit')
    await eventually(() => processesOf(dataDir).length === 0, { what: `no process after ${afterMs} ms` })
  }
  const kafka = await startKafka({ dataDir, env })
  assert.ok(processesOf(dataDir).includes(kafka.pid ?? 0), 'the search finds a broker that is there')
  await kafka.stop()
})

/** Every process whose command line names the folder. */
function processesOf(dataDir: string): number[] {
  const lines = execFileSync('ps', ['-axww', '-o', 'pid=,command='], { encoding: 'utf8' }).split('\n')
  return lines.filter((line) => line.includes(dataDir)).map((line) => Number.parseInt(line, 10))
}
