import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { loadConfig } from '../shared/config/index.ts'
import { folderWith, millrace } from '../test/support/command.ts'

const ACCESS = '::1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "-" "curl"\n'
const EVENTS =
  '{"id":1,"at":"2024-01-02T03:04:05Z","z":{"a.b":1}}\n{"id":2,"at":"2024-01-02T03:04:06Z","z":{"c.d":2}}\n'
const LOGFMT = 'level=info msg="hello world" took=1.5\nlevel=warn msg=bye took=2\n'

test('each kind of log: what init writes is valid, and try makes a row of every line', async (t) => {
  const logs = { 'access.log': ACCESS, 'events.jsonl': EVENTS, 'app.log': LOGFMT }
  const folder = folderWith(t, logs)
  const { code, stdout } = await millrace(folder, ['init', ...Object.keys(logs)])
  assert.equal(code, 0)
  for (const line of ['access.log: combined; of 1 lines 1 become rows', 'events.jsonl: json', 'app.log: logfmt'])
    assert.ok(stdout.includes(line), line)
  assert.equal((await millrace(folder, ['check'])).code, 0)
  for (const [route, file] of [
    ['access', 'access.log'],
    ['events', 'events.jsonl'],
    ['app', 'app.log'],
  ] as const)
    assert.equal((await millrace(folder, ['try', route, file])).code, 0, route)
})

test('nothing is overwritten without --force', async (t) => {
  const folder = folderWith(t, { 'events.jsonl': EVENTS, 'other.jsonl': EVENTS, 'schemas/other.json': 'mine' })
  assert.equal((await millrace(folder, ['init', 'events.jsonl'])).code, 0)
  const before = readFileSync(join(folder, 'millrace.yaml'), 'utf8')
  const again = await millrace(folder, ['init', 'events.jsonl'])
  assert.deepEqual([again.code, again.stdout], [2, ''])
  assert.match(again.stderr, /there is a route events already\nfix: .*--force/)
  const other = await millrace(folder, ['init', 'other.jsonl'])
  assert.match(other.stderr, /other.json is there already/)
  assert.equal(readFileSync(join(folder, 'schemas/other.json'), 'utf8'), 'mine')
  assert.equal(readFileSync(join(folder, 'millrace.yaml'), 'utf8'), before, 'refused means untouched')
  assert.equal((await millrace(folder, ['init', 'events.jsonl', '--required', '--force'])).code, 0)
  assert.match(readFileSync(join(folder, 'schemas/events.json'), 'utf8'), /REQUIRED/)
})

test('copies of one log are one route; the configuration may be elsewhere', async (t) => {
  const folder = folderWith(t, { 'logs/e.log': EVENTS, 'logs/e.log.1.gz': gzipSync(EVENTS), 'etc/x': '' })
  const { stdout } = await millrace(folder, ['init', 'logs/e.log', 'logs/e.log.1.gz', '--config', 'etc/my.yaml'])
  assert.match(stdout, /of 4 lines 4 become rows/)
  const { agent, routes } = loadConfig(join(folder, 'etc/my.yaml'))
  assert.deepEqual(
    agent.logs.map(({ path, route }) => [path, route]),
    [[join(folder, 'logs/e.log*'), 'e']],
  )
  assert.equal(routes['e']?.schema, join(folder, 'etc/schemas/e.json'))
})

test('what is no log is refused, and nothing is written', async (t) => {
  const folder = folderWith(t, { 'a.log': 'just some words\n', 'empty.log': '' })
  for (const file of ['a.log', 'empty.log', 'missing.log', '.']) {
    const { code, stderr } = await millrace(folder, ['init', file])
    assert.equal(code, 2)
    assert.match(stderr, /\nfix: /)
  }
  assert.ok(!existsSync(join(folder, 'millrace.yaml')))
})
