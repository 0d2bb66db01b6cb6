import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from '../config/index.ts'
import { UserError } from '../errors.ts'
import { addRoute, type NewRoute, routeNameOf } from './index.ts'

const FILE = '/srv/millrace.yaml'
const recognised = {
  kind: 'json',
  fields: [{ name: 'at', type: 'TIMESTAMP', mode: 'NULLABLE' }],
  partition: { field: 'at', by: 'day' },
  cluster: ['country'],
} as const
const route = (name: string, ...files: string[]): NewRoute => ({ name, files, recognised })

test('the name of a route, from the name of a log', () => {
  const names = {
    '/var/log/nginx/access.log.2.gz': 'access',
    'visits-20240102.jsonl.zst': 'visits',
    'a.2024-01-02.log': 'a',
    'my app.v2.log': 'my-app-v2',
    '2024.log': 'log',
    plain: 'plain',
  }
  for (const [file, name] of Object.entries(names)) assert.equal(routeNameOf(file), name, file)
})

test('a new configuration is valid and complete', () => {
  const config = parseConfig(addRoute(undefined, FILE, route('my-events', '/srv/logs/e.log'), false), FILE)
  const added = config.routes['my-events']
  assert.deepEqual(added?.table, { project: 'my-project', dataset: 'logs', table: 'my_events' })
  assert.equal(added?.schema, '/srv/schemas/my-events.json')
  assert.equal(added?.topic, 'my-events')
  assert.deepEqual(added?.partition, { field: 'at', by: 'day' })
  assert.deepEqual(config.agent.logs, [{ path: '/srv/logs/e.log', route: 'my-events', complete: false }])
})

test('an existing configuration keeps its routes, logs and comments', () => {
  const before = `# head
project: p # here
dataset: d
bucket: bbb
routes:
  # the first
  old: { format: raw, table: old }
agent:
  logs: [{ path: /var/log/old.log, route: old }] # logs
`
  const after = addRoute(before, FILE, route('more', '/elsewhere/more.log'), false)
  for (const comment of ['# head', '# here', '# the first', '# logs']) assert.ok(after.includes(comment), comment)
  const config = parseConfig(after, FILE)
  assert.deepEqual(Object.keys(config.routes), ['old', 'more'])
  assert.equal(config.routes['more']?.topic, undefined, 'there is no Kafka in it')
  assert.deepEqual(
    config.agent.logs.map(({ path }) => path),
    ['/var/log/old.log', '/elsewhere/more.log'],
  )
  const again = addRoute(after, FILE, route('more', '/elsewhere/more.log'), true)
  assert.equal(again, after, 'the same again, by force, changes nothing')
})

test('copies of one log are followed as one', () => {
  const text = addRoute(undefined, FILE, route('a', '/l/a.log', '/l/a.log.1', '/l/a.log.2.gz', '/m/a.log'), false)
  assert.deepEqual(
    parseConfig(text, FILE).agent.logs.map(({ path }) => path),
    ['/l/a.log*', '/m/a.log'],
  )
})

test('what cannot be added is refused', () => {
  const refused = (before: string | undefined, name: string, message: RegExp) =>
    assert.throws(
      () => addRoute(before, FILE, route(name, '/a.log'), false),
      (error) => error instanceof UserError && message.test(error.message),
    )
  const before = addRoute(undefined, FILE, route('a', '/a.log'), false)
  refused(before, 'a', /there is a route a already/)
  refused(undefined, '7 days', /routes.7 days/)
  refused('routes: [', 'a', /millrace.yaml:1/)
  refused('project: p\ndataset: d\nroutes: {}\n', 'a', /neither topic nor bucket/)
})
