import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { assertProven, folder, isAlive, pidsIn, start } from './support/start.ts'

/** Long enough that a killed worker's partitions come back (session_timeout) before the next is killed. */
const KILL_EVERY_MS = 3_000

void test('npm start: nothing is lost or doubled when agent, worker and functions are killed again and again', async (t) => {
  const data = await folder(t)
  const run = start('--for', '30s', '--data', data, '--rate', '1500')
  const stop = new AbortController()
  const killing = killAgainAndAgain(join(data, 'run'), ['agent', 'worker', 'chunk-load', 'backfill'], stop.signal)
  run.child.stdout?.on('data', (text: Buffer) => {
    if (text.includes('the time is over')) stop.abort()
  })
  assertProven(await run.ended)
  assert((await killing) >= 6)
})

/** Kills each in turn, when it has run for a moment; returns how often. */
async function killAgainAndAgain(run: string, names: string[], signal: AbortSignal): Promise<number> {
  for (let kills = 0; ; kills++) {
    await delay(KILL_EVERY_MS, undefined, { signal }).catch(() => undefined)
    if (signal.aborted) return kills
    const [pid] = pidsIn(run, [names[kills % names.length] ?? '']) ?? []
    if (pid === undefined || !isAlive(pid)) kills--
    else process.kill(pid, 'SIGKILL')
  }
}
