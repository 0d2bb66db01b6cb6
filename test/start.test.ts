import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { eventually } from './support/eventually.ts'

/** `npm start` as a user sees it, on a data folder of the test's own. */
const START = fileURLToPath(new URL('../local/start/main.ts', import.meta.url))
const SAMPLE = fileURLToPath(new URL('../examples/shop/millrace.yaml', import.meta.url))
const RUN_WITHIN_MS = 180_000
/** Long enough that a killed worker's partitions come back (session_timeout) before the next is killed. */
const KILL_EVERY_MS = 3_000

interface Result {
  readonly code: number | null
  readonly output: string
  readonly events: number
}

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'millrace-start-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

function start(...args: string[]): { child: ChildProcess; ended: Promise<Result> } {
  const child = spawn(process.execPath, [START, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text: Buffer) => (output += text.toString()))
  const ended = once(child, 'close').then(([code]) => {
    const events = Number(/^events=(\d+) /m.exec(output)?.[1] ?? Number.NaN)
    return { code: code as number | null, output, events }
  })
  return { child, ended }
}

function assertProven({ code, output }: Result): void {
  assert.match(
    output.trimEnd().split('\n').at(-1) ?? '',
    /^events=\d+ rows=\d+ dead_letters=\d+ missing=0 duplicates=0$/,
    output,
  )
  assert.equal(code, 0, output)
}

void suite('npm start', { timeout: 3 * RUN_WITHIN_MS }, () => {
  void test('every event of the sample becomes a row or a dead letter, once; a second run goes on', async (t) => {
    const data = await folder(t)
    const first = await start('--for', '8s', '--data', data, '--rate', '3000').ended
    assertProven(first)
    assert(first.events > 10_000, first.output)
    assert.match(first.output, /dead_letters=[1-9]/)
    const second = await start('--for', '5s', '--data', data, '--rate', '3000').ended
    assertProven(second)
    assert(second.events > first.events, second.output)
  })

  void test('also when agent, worker and function are killed again and again', async (t) => {
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

  void test('a file of the user becomes rows', async (t) => {
    const data = await folder(t)
    const config = join(data, 'my.yaml')
    const log = join(data, 'my.jsonl')
    await writeFile(join(data, 'schema.json'), '[{"name": "n", "type": "INT64"}]')
    await writeFile(
      config,
      '{ project: p, dataset: d, bucket: my-logs, kafka: { brokers: ["k:1"] }, routes: { mine: { topic: mine, schema: schema.json, table: mine } } }',
    )
    await writeFile(log, Array.from({ length: 500 }, (_, n) => `{"n": ${n}}`).join('\n'))
    const run = await start(
      '--config',
      config,
      '--log',
      log,
      '--route',
      'mine',
      '--data',
      join(data, 'm'),
      '--for',
      '3s',
    ).ended
    assertProven(run)
    assert.match(run.output, /events=500 rows=500 dead_letters=0/)
  })

  void test('a mistake is one clear error and exit code 2', async (t) => {
    const data = await folder(t)
    const broken = join(data, 'broken.yaml')
    await writeFile(broken, '{ project: [')
    const cases: [args: string[], error: RegExp][] = [
      [['--for', 'ever'], /--for ever: not a duration\nfix: write it as 30s, 5m or 1h/],
      [['--log', 'x'], /--log and --route go together/],
      [['--config', '/nowhere.yaml', '--log', 'x', '--route', 'y'], /cannot read the configuration \/nowhere\.yaml/],
      [['--unknown'], /Unknown option '--unknown'/],
      [['--config', broken, '--log', broken, '--route', 'y'], /broken\.yaml:1: .*\nfix: correct the YAML/],
      [['--config', SAMPLE, '--log', broken, '--route', 'y'], /there is no route y\nfix: use one of: visits,/],
      [['--config', SAMPLE, '--log', data, '--route', 'visits'], /cannot read .*: it is not a file/],
    ]
    for (const [args, error] of cases) {
      const { code, output } = await start('--data', data, ...args).ended
      assert.equal(code, 2, output)
      assert.match(output, error)
      assert.doesNotMatch(output, /\n {4}at /)
    }
  })

  void test('Ctrl-C ends everything within ten seconds; what kill -9 leaves behind ends by itself, or for the next start', async (t) => {
    const data = await folder(t)
    for (const [signal, timeoutMs] of [
      ['SIGINT', 10_000],
      ['SIGKILL', 20_000],
    ] as const) {
      const { child, ended } = start('--data', data)
      const pids = await allOf(data)
      child.kill(signal)
      if (signal === 'SIGKILL') assertProven(await start('--for', '2s', '--data', data).ended)
      await eventually(() => !pids.some(isAlive), { timeoutMs, what: 'the end of all processes' })
      await ended
    }
  })

  void test('a part that cannot come back ends the run: exit code 2, and what to do; two runs need two folders', async (t) => {
    const data = await folder(t)
    const { ended } = start('--data', data)
    const [cloud = 0, ...others] = await allOf(data)
    const second = await start('--data', data).ended
    assert.equal(second.code, 2)
    assert.match(second.output, /is in use: npm start runs here already, by process \d+\.\nfix: /)
    process.kill(cloud, 'SIGKILL')
    const { code, output } = await ended
    assert.equal(code, 2, output)
    assert.match(output, /cloud ended \(SIGKILL\)[^]*\nfix: npm start again/)
    assert.doesNotMatch(output, /\n {4}at /)
    assert(!others.some(isAlive))
  })

  void test('Ctrl-C, and a reader that has enough, end a run that is still starting', async (t) => {
    const data = await folder(t)
    const enough = start('--data', data)
    await once(enough.child.stdout!, 'data')
    enough.child.stdout?.destroy()
    assert.equal((await enough.ended).code, 0, (await enough.ended).output)
    const interrupted = start('--data', data, '--for', '1h')
    await once(interrupted.child.stdout!, 'data')
    interrupted.child.kill('SIGINT')
    const { code, output } = await interrupted.ended
    assert.equal(code, 1, output)
    assert.match(output, /stopped before the end: nothing is proven\n$/)
    assert.equal(pidsIn(join(data, 'run'), ['cloud']), undefined)
  })
})

/** The processes of a run, the cloud's first. */
function allOf(data: string): Promise<number[]> {
  const names = ['cloud', 'agent', 'worker', 'shop', 'traffic']
  return eventually(() => pidsIn(join(data, 'run'), names), { timeoutMs: 60_000 })
}

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

/** Undefined until all of them run. */
function pidsIn(run: string, names: string[]): number[] | undefined {
  const files = names.map((name) => join(run, `${name}.pid`))
  return files.every(existsSync) ? files.map((file) => Number(readFileSync(file, 'utf8'))) : undefined
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
