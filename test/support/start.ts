import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { eventually } from './eventually.ts'

const START = fileURLToPath(new URL('../../local/start/main.ts', import.meta.url))

export interface Result {
  readonly code: number | null
  readonly output: string
  readonly events: number
}

/** A data folder of the test's own. */
export async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'millrace-start-'))
  // A broker whose cloud was killed may write until it has ended, too.
  t.after(() => rm(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 }))
  return path
}

/** `npm start` as a user sees it. */
export function start(...args: string[]): { child: ChildProcess; ended: Promise<Result> } {
  const child = spawn(process.execPath, [START, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text: Buffer) => (output += text.toString()))
  const ended = once(child, 'close').then(([code]) => {
    const events = Number(/^events=(\d+) /m.exec(output)?.[1] ?? Number.NaN)
    return { code: code as number | null, output, events }
  })
  return { child, ended }
}

/** It ended by itself, with nothing missing and nothing doubled. */
export function assertProven({ code, output }: Result): void {
  assert.match(
    output.trimEnd().split('\n').at(-1) ?? '',
    /^events=\d+ rows=\d+ dead_letters=\d+ missing=0 duplicates=0$/,
    output,
  )
  assert.equal(code, 0, output)
}

/** The processes of a run, the cloud's first. */
export function allOf(data: string): Promise<number[]> {
  const names = ['cloud', 'agent', 'worker', 'shop', 'traffic']
  return eventually(() => pidsIn(join(data, 'run'), names), { timeoutMs: 120_000 })
}

/** Undefined until all of them run: a file that was made and not yet written to would name everybody. */
export function pidsIn(run: string, names: string[]): number[] | undefined {
  const files = names.map((name) => join(run, `${name}.pid`))
  const pids = files.map((file) => (existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0))
  return pids.every((pid) => pid > 0) ? pids : undefined
}

/** There is such a process: one that has ended and waits for its parent is none, and there may be nobody who fetches it. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' && process.platform !== 'linux'
  }
}
