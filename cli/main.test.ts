import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { StatusReport } from '../shared/status/index.ts'
import { folderWith, millrace } from '../test/support/command.ts'

test('help goes to stdout and names every command', async (t) => {
  const { code, stdout, stderr } = await millrace(folderWith(t, {}), ['--help'])
  assert.deepEqual([code, stderr], [0, ''])
  const files = readdirSync(import.meta.dirname)
  for (const name of ['agent', 'worker', 'local', 'init', 'try', 'query', 'schema', 'audit', 'check']) {
    assert.match(stdout, new RegExp(`^  ${name} `, 'm'))
    assert.ok(files.includes(`${name}.ts`), 'one file for each')
  }
})

test('each command has help', async (t) => {
  const { code, stdout } = await millrace(folderWith(t, {}), ['try', '--help'])
  assert.equal(code, 0)
  assert.match(stdout, /^millrace try ROUTE FILE\n/)
})

/** Nobody listens there. */
const LONELY = `{ project: p, dataset: d, kafka: { brokers: ["127.0.0.1:1"] },
  routes: { r: { topic: t, format: raw, table: t } } }`
const TIMELESS = LONELY.replace('format: raw', 'format: raw, partition: { field: at, by: day }')

test('wrong use: exit 2, one error with its fix on stderr, nothing on stdout', async (t) => {
  const configs = { 'broken.yaml': 'routes: [', 'lonely.yaml': LONELY, 'timeless.yaml': TIMELESS }
  const folder = folderWith(t, { ...configs, log: '{"n": 1}\n' })
  const cases: [args: string[], error: RegExp][] = [
    [['nonsense'], /there is no command nonsense\nfix: use one of: /],
    [['toString'], /there is no command toString/],
    [['query'], /millrace query takes: SQL\nfix: see millrace query --help/],
    [['check'], /cannot read the configuration .*millrace.yaml/],
    [['check', '--config', 'broken.yaml'], /broken.yaml:1: /],
    [['drain', '--config', 'lonely.yaml'], /ECONNREFUSED 127.0.0.1:1\nfix: millrace check --connect/],
    [['audit', '--day', '2026-02-31x'], /--day 2026-02-31x: not a day/],
    [['audit', '--day', '2026-02-30'], /--day 2026-02-30: not a day/],
    [['local', '--data', 'broken.yaml'], /cannot make the folders of broken.yaml: ENOTDIR.*\nfix: /],
    [['check', '--config', 'timeless.yaml'], /partition.field \(at\): .* DATE, DATETIME, TIMESTAMP; fix: add one/],
    [['init', 'log', '--config', '.'], /^\.: EISDIR.*\nfix: name a file/],
    [['agent', '--from', 'middle'], /--from middle\nfix: use --from start or --from end/],
    [['local', '--store', 'rows'], /--store rows\nfix: use --store count/],
  ]
  for (const [args, error] of cases) {
    const { code, stdout, stderr } = await millrace(folder, args)
    assert.deepEqual([code, stdout], [2, ''], args.join(' '))
    assert.match(stderr, error)
    assert.doesNotMatch(stderr, /^ +at /m, 'no stack')
  }
})

test('status of services that are silent: which ones; all are asked at once', async (t) => {
  const askedMs: number[] = []
  const silent = createServer(() => askedMs.push(performance.now())).listen(0, '127.0.0.1')
  t.after(() => silent.close())
  await once(silent, 'listening')
  const at = `127.0.0.1:${(silent.address() as AddressInfo).port}`
  const endpoints = `endpoints: { bigquery: "http://${at}", storage: "http://${at}" }`
  const config = `${LONELY.slice(0, -1).replace('127.0.0.1:1', at)}, bucket: bbb, ${endpoints} }`
  const { code, stdout } = await millrace(folderWith(t, { 'millrace.yaml': config }), ['status'])
  const { unreachable } = JSON.parse(stdout) as StatusReport
  const late = 'no answer within 5000 ms'
  const expected = { positions: late, consumer: late, chunks: late, dead_letters: late }
  assert.deepEqual([code, unreachable], [1, expected])
  const spreadMs = Math.max(...askedMs) - Math.min(...askedMs)
  assert.ok(askedMs.length >= 3 && spreadMs < 8000, `${askedMs.length} in ${spreadMs} ms; in turn they take 10 s`)
})

test('no arguments: the help, and exit 2', async (t) => {
  const { code, stdout } = await millrace(folderWith(t, {}), [])
  assert.equal(code, 2)
  assert.match(stdout, /^millrace COMMAND/)
})

test('a reader that has enough ends a command quietly', async (t) => {
  const lines = 'some line that becomes a row\n'.repeat(50_000)
  const config = '{ project: p, dataset: d, bucket: bbb, routes: { r: { format: raw, table: t } } }'
  const cwd = folderWith(t, { 'millrace.yaml': config, log: lines })
  const main = fileURLToPath(new URL('./main.ts', import.meta.url))
  const child = spawn(process.execPath, [main, 'try', 'r', 'log'], { cwd })
  let stderr = ''
  child.stderr.on('data', (piece) => (stderr += String(piece)))
  child.stdout.once('data', () => child.stdout.destroy())
  const [code] = (await once(child, 'close')) as [number | null]
  assert.deepEqual([code, stderr], [0, ''])
})
