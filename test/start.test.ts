import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { eventually } from './support/eventually.ts'
import { allOf, assertProven, folder, isAlive, pidsIn, start } from './support/start.ts'

const SAMPLE = fileURLToPath(new URL('../examples/shop/millrace.yaml', import.meta.url))
const RUN_WITHIN_MS = 180_000

void suite('npm start', { timeout: 3 * RUN_WITHIN_MS }, () => {
  void test('every event of the sample becomes a row or a dead letter, once; a second run goes on', async (t) => {
    const data = await folder(t)
    const first = await start('--for', '8s', '--data', data, '--rate', '3000').ended
    assertProven(first)
    assert(first.events >= 1000, first.output)
    assert.match(first.output, /dead_letters=[1-9]/)
    const second = await start('--for', '5s', '--data', data, '--rate', '3000').ended
    assertProven(second)
    assert(second.events > first.events, second.output)
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

  void test('Ctrl-C ends everything; what kill -9 leaves behind ends by itself, or for the next start', async (t) => {
    const data = await folder(t)
    for (const signal of ['SIGINT', 'SIGKILL'] as const) {
      const { child, ended } = start('--data', data)
      const pids = await allOf(data)
      child.kill(signal)
      if (signal === 'SIGKILL') assertProven(await start('--for', '2s', '--data', data).ended)
      await eventually(() => !pids.some(isAlive), { what: 'the end of all processes' })
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
