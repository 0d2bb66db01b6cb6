import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { http } from '@google-cloud/functions-framework'
import { getFunction, getTestServer } from '@google-cloud/functions-framework/testing'
import { OAuth2Client } from 'google-auth-library'
import { startBigQuery } from '../../local/bigquery/index.ts'
import { createClock, createFaults, createRecorder, type Faults } from '../../local/faults/index.ts'
import { type Config, parseConfig } from '../../shared/config/index.ts'
import { topicsOf } from '../kafka-worker/consumer.ts'
import { openAuthorize } from './authorize.ts'
import { eventually } from '../../test/support/eventually.ts'
import { createKafkaPush, type Environment, hideTypes, kafkaPush, openEnvironment } from './index.ts'

hideTypes()

const SECRET = 'correct horse battery staple'
const AUDIENCE = 'https://push.example.com'
const SOURCE = 'abcdefghijklmnopqrstuvwxyz'
const VISIT_PROTO = 'syntax = "proto3"; package shop; message Visit { int64 number = 1; string page = 2; }'
const FIELDS = [
  { name: 'number', type: 'INT64' },
  { name: 'place', type: 'GEOGRAPHY' },
]

interface Push {
  readonly config: Config
  readonly faults: Faults
  readonly url: string
  /** BigQuery's REST interface. */
  readonly tables: string
  post(path: string, body: string | Buffer, headers?: Record<string, string>): Promise<Answer>
  query(sql: string): Promise<unknown[]>
}

interface Answer {
  readonly status: number
  readonly json: unknown
  readonly headers: Headers
}

let functions = 0

/** kafka-push behind a real port, on the stand-in of BigQuery. */
async function startPush(t: TestContext, changed: Partial<Environment> = {}, routeYaml = ''): Promise<Push> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-push-'))
  const faults = createFaults()
  const dataDir = join(folder, 'bigquery')
  const bigQuery = await startBigQuery({ dataDir, faults, clock: createClock(), recorder: createRecorder() })
  writeFileSync(join(folder, 'visits.json'), JSON.stringify(FIELDS))
  writeFileSync(join(folder, 'visit.proto'), VISIT_PROTO)
  writeFileSync(join(folder, 'secret'), `${SECRET}\n`)
  const config = parseConfig(
    `
project: millrace-test
dataset: logs
push: { auth: secret, secret: { file: '${join(folder, 'secret')}' } }
routes:
  visits: { topic: visits, push: true, schema: visits.json, table: visits, unknown: reject ${routeYaml} }
  clicks: { topic: clicks, push: true, schema: visit.proto#shop.Visit, format: protobuf, table: clicks }
  access: { push: true, format: raw, table: access }
  quiet: { topic: quiet, push: false, schema: visits.json, table: quiet }
kafka: { brokers: ['127.0.0.1:1'] }
endpoints: { bigquery: '${bigQuery.rest}', bigquery_storage: '${bigQuery.grpc}' }
`,
    join(folder, 'millrace.yaml'),
  )
  const environment = { ...openEnvironment(config), ...changed }
  const name = `kafka-push-${functions++}`
  http(
    name,
    createKafkaPush(() => environment),
  )
  const server = getTestServer(name).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  t.after(async () => {
    server.close()
    server.closeAllConnections()
    environment.warehouse.close()
    await bigQuery.stop()
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  })
  return {
    config,
    faults,
    url: `http://127.0.0.1:${port}`,
    tables: `${bigQuery.rest}/bigquery/v2/projects/millrace-test/datasets/logs/tables`,
    async post(path, body, headers = {}) {
      const url = `http://127.0.0.1:${port}${path}`
      const bytes = new Uint8Array(Buffer.from(body as string))
      const all = { authorization: `Bearer ${SECRET}`, 'content-type': 'application/json', ...headers }
      const response = await fetch(url, { method: 'POST', body: bytes, headers: all })
      const text = await response.text()
      const isJson = response.headers.get('content-type')?.includes('json')
      return { status: response.status, json: isJson ? (JSON.parse(text) as unknown) : text, headers: response.headers }
    },
    query: (sql) => Array.fromAsync(environment.warehouse.query(sql)),
  }
}

const record = (offset: number, value: unknown, more: object = {}) => ({
  key: null,
  value,
  topic: 'visits',
  partition: 1,
  offset,
  timestamp: 1,
  ...more,
})
const base64 = (text: string) => Buffer.from(text).toString('base64')
const visit = (number: number) => JSON.stringify({ number })
const ROW = { status: 'row' }
const numbers = (push: Push, table = 'visits') =>
  push
    .query(`SELECT number FROM logs.${table} ORDER BY number`)
    .then((rows) => rows.map((row) => (row as { number: string }).number))

void suite('kafka-push', { timeout: 300_000 }, () => {
  void test("records of Confluent's sink: structs, strings, bytes, tombstones; results in their order", async (t) => {
    const push = await startPush(t)
    const agentKey = base64(`${SOURCE}@100+13`)
    const records = [
      record(0, { number: 1 }),
      record(1, visit(2)),
      record(2, base64(visit(3)), { key: agentKey }),
      record(3, null),
      record(4, { number: 'five' }),
      record(5, base64(visit(6)), { key: 'anything', partition: 2 }),
    ]
    const { status, json } = await push.post('/', JSON.stringify(records))
    assert.equal(status, 200)
    const message = 'number: a value that the field cannot be read from'
    const dead = { status: 'dead_letter', reason: 'invalid_value', field: 'number', message }
    assert.deepEqual(json, [ROW, ROW, ROW, { status: 'passed' }, dead, ROW])
    const rows = await push.query(`SELECT number, millrace.source, millrace.position, millrace.kafka_topic AS topic,
      millrace.kafka_partition AS p, millrace.kafka_offset AS k FROM logs.visits ORDER BY number`)
    const at = (number: string, k: string, p = '1') => ({ number, topic: 'visits', p, k })
    const agents = { ...at('3', '2'), source: SOURCE, position: '100' }
    assert.deepEqual(rows, [at('1', '0'), at('2', '1'), agents, at('6', '5', '2')])
    const letters = await push.query('SELECT bytes, kafka_topic, kafka_offset FROM logs.millrace_dead_letters_open')
    assert.deepEqual(letters, [{ bytes: base64('{"number":"five"}'), kafka_topic: 'visits', kafka_offset: '4' }])
  })

  void test('the view has one row for each coordinates, and every row without', async (t) => {
    const push = await startPush(t)
    const records = [record(0, { number: 1 }), record(1, { number: 2 }, { key: `${SOURCE}@0+9` })]
    for (let twice = 0; twice < 2; twice++) {
      assert.equal((await push.post('/', JSON.stringify(records))).status, 200)
      assert.equal((await push.post('/visits', '[{"number":3}]')).status, 200)
    }
    await push.post('/', JSON.stringify([record(7, { number: 2 }, { key: `${SOURCE}@0+9`, topic: 'visits' })]))
    assert.deepEqual(await numbers(push), ['1', '1', '2', '2', '2', '3', '3'])
    assert.deepEqual(await numbers(push, 'visits_once'), ['1', '2', '3', '3'])
  })

  void test('a dead letter whose event has a row by now is not open any more', async (t) => {
    const push = await startPush(t)
    const agents = { key: `${SOURCE}@0+9` }
    const send = (...records: object[]) => push.post('/', JSON.stringify(records))
    const open = () => push.query('SELECT kafka_offset AS k FROM logs.millrace_dead_letters_open ORDER BY k')
    for (let twice = 0; twice < 2; twice++) await send(record(0, {}, agents), record(1, { x: 1 }), record(2, { x: 1 }))
    await send(record(0, { x: 1 }, agents))
    assert.deepEqual(await open(), [{ k: '1' }, { k: '2' }])
    await send(record(2, { number: 3 }))
    assert.deepEqual(await open(), [{ k: '1' }])
    await send(record(8, { x: 1 }, { key: `${SOURCE}@9+9` }))
    assert.deepEqual(await open(), [{ k: '1' }, { k: '8' }])
    await send(record(9, { number: 4 }, { key: `${SOURCE}@9+9` }))
    assert.deepEqual(await open(), [{ k: '1' }])
  })

  void test('topics of several routes in one body, protobuf among them', async (t) => {
    const push = await startPush(t)
    const click = Buffer.from([0x08, 0x05, 0x12, 0x01, 0x70]).toString('base64')
    const records = [record(0, { number: 1 }), record(0, click, { topic: 'clicks' }), record(1, { number: 2 })]
    const { status, json } = await push.post('/', JSON.stringify(records), {
      'content-type': 'application/vnd.kafka.binary.v2+json',
    })
    assert.deepEqual([status, json], [200, [ROW, ROW, ROW]])
    assert.deepEqual(await push.query('SELECT number, page FROM logs.clicks'), [{ number: '5', page: 'p' }])
    const wrong = (await push.post('/clicks', '[{}, "not base64", 5]')).json as { reason: string }[]
    assert.deepEqual(
      wrong.map(({ reason }) => reason),
      ['wrong_type', 'wrong_type', 'wrong_type'],
    )
    const delimited = Buffer.from([2, 0x08, 0x06, 2, 0x08, 0x07, 9, 0x08])
    const answer = await push.post('/clicks', delimited, { 'content-type': 'application/octet-stream' })
    assert.deepEqual(answer.json, { events: 3, rows: 2, dead_letters: 1, reasons: ['truncated'] })
    assert.deepEqual(await numbers(push), ['1', '2'])
  })

  void test('NDJSON, with and without a type, compressed; a poison event among good ones', async (t) => {
    const push = await startPush(t)
    const body = `${visit(1)}\n{"number": \n${visit(2)}\n\n`
    const summary = { events: 3, rows: 2, dead_letters: 1, reasons: ['truncated'] }
    for (const type of ['application/x-ndjson', 'text/plain', '']) {
      const answer = await push.post('/visits', body, { 'content-type': type })
      assert.deepEqual([answer.status, answer.json], [200, summary], type)
    }
    const headers = { 'content-type': '', 'content-encoding': 'gzip' }
    assert.deepEqual((await push.post('/visits', gzipSync(body), headers)).json, summary)
    assert.deepEqual(await numbers(push), ['1', '1', '1', '1', '2', '2', '2', '2'])
    // Without coordinates nothing tells one from the other: all are shown.
    const letters = await push.query('SELECT bytes FROM logs.millrace_dead_letters_open')
    assert.deepEqual(letters, Array(4).fill({ bytes: base64('{"number": ') }))
    const unfinished = await push.post('/visits', '{"number": ', { 'content-type': 'application/json' })
    assert.deepEqual(unfinished.json, { events: 1, rows: 0, dead_letters: 1, reasons: ['truncated'] })
  })

  void test('arrays of values, exact beyond 2^53; single objects; an empty array', async (t) => {
    const push = await startPush(t)
    const values = ' [ {"number": 9007199254740993} ,{"number":{}},\n{"number":"1","place":"POINT(1 2)"}, [1] ] '
    const { status, json } = await push.post('/visits', values)
    assert.equal(status, 200)
    assert.deepEqual(
      (json as { status: string }[]).map((result) => result.status),
      ['row', 'dead_letter', 'row', 'dead_letter'],
    )
    const pretty = JSON.stringify({ number: 3 }, null, 2)
    assert.deepEqual((await push.post('/visits', pretty)).json, { events: 1, rows: 1, dead_letters: 0, reasons: [] })
    assert.deepEqual((await push.post('/visits', '[]')).json, [])
    assert.deepEqual(await numbers(push), ['1', '3', '9007199254740993'])
  })

  void test('lines of text that look like an array', async (t) => {
    const push = await startPush(t)
    const { status, json } = await push.post('/access', '[1]\n[2]\n', { 'content-type': 'text/plain' })
    assert.deepEqual([status, json], [200, { events: 2, rows: 2, dead_letters: 0, reasons: [] }])
    assert.deepEqual((await push.post('/access', '["a \\u00e4", "b"]')).json, [ROW, ROW])
  })

  void test('rows that BigQuery refuses become dead letters, the others land', async (t) => {
    const push = await startPush(t)
    const place = (number: number, where: string) => record(number, { number, place: where })
    const records = [place(0, 'POINT(1 1)'), place(1, 'nowhere'), place(2, 'POINT(2 2)')]
    const { status, json } = await push.post('/', JSON.stringify(records))
    assert.equal(status, 200)
    const reasons = (json as { reason?: string }[]).map(({ reason }) => reason)
    assert.deepEqual(reasons, [undefined, 'refused', undefined])
    assert.deepEqual(await numbers(push), ['0', '2'])
    const letters = await push.query('SELECT reason, kafka_offset FROM logs.millrace_dead_letters_open')
    assert.deepEqual(letters, [{ reason: 'refused', kafka_offset: '1' }])
  })

  void test('many rows take several appends; results stay aligned', async (t) => {
    const push = await startPush(t)
    const values = Array.from({ length: 20_000 }, (_, number) => (number % 1000 === 7 ? [] : { number }))
    const { json } = await push.post('/visits', JSON.stringify(values))
    const dead = (json as { status: string }[]).flatMap(({ status }, index) => (status === 'row' ? [] : [index]))
    assert.deepEqual(
      dead,
      Array.from({ length: 20 }, (_, thousand) => thousand * 1000 + 7),
    )
    assert.equal((await numbers(push)).length, 19_980)
  })

  void test('what cannot be read is refused with the reason, and nothing is written', async (t) => {
    const push = await startPush(t)
    const good = record(0, { number: 1 })
    const cases: [path: string, body: string, status: number, reason: RegExp, type?: string][] = [
      ['/', JSON.stringify([good, { number: 1 }]), 400, /element 1: no record with topic/],
      ['/', JSON.stringify([good, { ...good, offset: -1 }]), 400, /element 1: offset: not an integer/],
      ['/', JSON.stringify([good, { ...good, partition: '0' }]), 400, /element 1: partition: not an integer/],
      ['/', JSON.stringify([good, { ...good, topic: 5 }]), 400, /element 1: topic: not a name/],
      ['/', JSON.stringify([good, { ...good, topic: 'quiet' }]), 404, /element 1: no route with push .* quiet/],
      ['/', visit(1), 400, /use \/ROUTE/, 'application/x-ndjson'],
      ['/quiet', '[]', 404, /no route with push has the name quiet/],
      ['/nowhere', '[]', 404, /nowhere/],
      ['/visits', '[{"number":1},', 400, /the array does not end/, 'application/vnd.kafka.json.v2+json'],
      ['/visits', '  ', 400, /the body is empty/, 'text/plain'],
      ['/access', '\ufeffa\0b\0', 400, /UTF-16/, 'text/plain'],
    ]
    for (const [path, body, status, reason, type = 'application/json'] of cases) {
      const bytes = reason.source === 'UTF-16' ? Buffer.from(body, 'utf16le') : body
      const answer = await push.post(path, bytes, { 'content-type': type })
      assert.equal(answer.status, status, `${body}: ${JSON.stringify(answer.json)}`)
      assert.match((answer.json as { error: string }).error, reason)
    }
    const name = { ...good, topic: 'x'.repeat(250) }
    assert.equal((await push.post('/visits', JSON.stringify([name]))).status, 400)
    const coded = (encoding: string, body: string) => push.post('/visits', body, { 'content-encoding': encoding })
    assert.match(
      JSON.stringify((await coded('br', visit(1))).json),
      /br is not gzip or deflate: incorrect header check/,
    )
    assert.match(JSON.stringify((await push.post('/visits', '[{]')).json), /the array does not end/)
    const large = await push.post('/visits', Buffer.alloc(32 * 1024 * 1024 + 1, 0x20), { 'content-type': 'text/plain' })
    assert.equal(large.status, 413)
    const many: [body: string, type: string][] = [
      [`[${'1,'.repeat(100_000)}1]`, 'application/json'],
      ['1\n'.repeat(100_001), 'text/plain'],
    ]
    for (const [body, type] of many) {
      const { status, json } = await push.post('/visits', body, { 'content-type': type })
      assert.deepEqual([status, json], [413, { error: 'more than 100000 events: send fewer in a request' }])
    }
    const wide = await push.post('/visits', `[{${'"a":1,'.repeat(100_000)}"number":1}]`)
    assert.equal((wide.json as { reason: string }[])[0]?.reason, 'unknown_field', 'one event, however many members')
    const bomb = gzipSync(Buffer.alloc(36 * 1024 * 1024, 0x20))
    const headers = { 'content-type': 'text/plain', 'content-encoding': 'gzip' }
    // Its end is missing: nobody has looked so far.
    assert.equal((await push.post('/visits', bomb.subarray(0, -9), headers)).status, 413)
    assert.deepEqual((await coded('identity', '[{"number":1}]')).json, [ROW])
    assert.deepEqual(await numbers(push), ['1'])
  })

  void test('a shared secret in every form that connectors send; wrong ones do not enter', async (t) => {
    const push = await startPush(t)
    const send = async (authorization: string) => (await push.post('/visits', '[]', { authorization })).status
    for (const good of [SECRET, `Bearer ${SECRET}`, `bearer ${SECRET}`, `Basic ${base64(`user:${SECRET}`)}`])
      assert.equal(await send(good), 200, good)
    for (const bad of ['', 'Bearer', `Bearer ${SECRET}x`, `Basic ${base64(`${SECRET}:`)}`, `Token ${SECRET}`])
      assert.equal(await send(bad), 401, bad)
    assert.equal((await push.post('/nowhere', '[]', { authorization: '' })).status, 401)
  })

  void test('nothing of a body is waited for before its sender is known to be one', { timeout: 60_000 }, async (t) => {
    const push = await startPush(t)
    const headers = { authorization: 'Bearer wrong', 'content-type': 'application/json', 'content-length': 1000 }
    const sending = request(`${push.url}/visits`, { method: 'POST', headers })
    sending.write('[')
    const [{ statusCode }] = (await once(sending, 'response')) as [IncomingMessage]
    assert.equal(statusCode, 401)
    sending.destroy()
  })

  void test('an ID token: signature, audience, time, issuer and caller must be right', async (t) => {
    const { client, token } = googleWithKeys()
    const options = {
      auth: 'oidc',
      audience: AUDIENCE,
      callers: ['connect@p.iam.gserviceaccount.com', '1234'],
    } as const
    const push = await startPush(t, { authorize: openAuthorize({ ...options, callers: [...options.callers] }, client) })
    const send = async (idToken: string) => {
      return (await push.post('/visits', '[]', { authorization: `Bearer ${idToken}` })).status
    }
    assert.equal(await send(token()), 200)
    assert.equal(await send(token({ sub: '1234', email: undefined })), 200)
    const past = Math.floor(Date.now() / 1000) - 7200
    const refused: [number, object][] = [
      [401, { aud: 'https://other.example.com' }],
      [401, { iss: 'https://example.com' }],
      [401, { iat: past, exp: past + 3600 }],
      [403, { email: 'other@p.iam.gserviceaccount.com' }],
      [403, { email_verified: false }],
    ]
    for (const [status, claims] of refused) assert.equal(await send(token(claims)), status, JSON.stringify(claims))
    assert.equal(await send(googleWithKeys().token()), 401, 'signed by another')
    assert.equal(await send(SECRET.replaceAll(' ', '-')), 401)
    client.getFederatedSignonCertsAsync = () => Promise.reject(new Error('no network'))
    assert.equal(await send(token()), 503, 'not the fault of the token')
  })

  void test('the worker leaves topics alone that are pushed', async (t) => {
    const push = await startPush(t)
    assert.deepEqual(topicsOf(push.config), ['quiet'])
  })

  void test('it is registered by its name', async () => {
    await import('../index.ts')
    assert.equal(getFunction('kafka-push'), kafkaPush)
  })

  void test('without a section push nobody may send', async (t) => {
    const push = await startPush(t, { authorize: undefined })
    assert.equal((await push.post('/visits', '[]')).status, 404)
  })

  void test('BigQuery down: 503 in time, and what was lost lands when it is sent again', async (t) => {
    const body = JSON.stringify([record(0, { number: 1 }), record(1, { number: 'x' })])
    for (const method of ['AppendRows', 'tables.get']) {
      const push = await startPush(t, { answerWithinMs: 700 })
      push.faults.add({ method, times: 50, fault: { kind: 'error', code: 'UNAVAILABLE' } })
      const { status, json, headers } = await push.post('/', body)
      assert.equal(status, 503, `${method}: ${JSON.stringify(json)}`)
      assert.equal(headers.get('retry-after'), '10')
      push.faults.clear()
      await eventually(async () => (await push.post('/', body)).status === 200, { what: method })
      assert.deepEqual(await numbers(push, 'visits_once'), ['1'])
      assert.equal((await push.query('SELECT 1 FROM logs.millrace_dead_letters_open')).length, 1)
    }
  })

  void test('a quota, a lost answer and a deleted table only delay', async (t) => {
    const push = await startPush(t)
    const body = JSON.stringify([record(0, { number: 1 })])
    push.faults.add({ method: 'AppendRows', fault: { kind: 'error', code: 'RESOURCE_EXHAUSTED', inBand: true } })
    assert.equal((await push.post('/', body)).status, 200)
    push.faults.add({ method: 'AppendRows', fault: { kind: 'drop', when: 'after' } })
    assert.equal((await push.post('/', body)).status, 200)
    assert.deepEqual(await numbers(push, 'visits_once'), ['1'])
    assert.deepEqual(await numbers(push), ['1', '1', '1'])
    assert.equal((await fetch(`${push.tables}/visits`, { method: 'DELETE' })).status, 204)
    assert.equal((await push.post('/', body)).status, 200)
    assert.deepEqual(await numbers(push, 'visits_once'), ['1'])
  })

  void test('when nearly nothing becomes a row the route stops, until something does', async (t) => {
    const push = await startPush(t, {}, ', stop_after: 3')
    assert.equal((await push.post('/visits', '[[],[]]')).status, 200)
    assert.equal((await push.post('/visits', '[[]]')).status, 503)
    assert.equal((await push.post('/visits', '[[],{"number":1}]')).status, 200)
    assert.equal((await push.post('/visits', '[[]]')).status, 200)
    const hardly = JSON.stringify([{ number: 2 }, ...Array.from({ length: 103 }, () => [])])
    assert.equal((await push.post('/visits', hardly)).status, 503)
  })
})

/** Google's client with keys of our own, and tokens signed by them. */
function googleWithKeys() {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const client = new OAuth2Client()
  const certs = { key: publicKey.export({ type: 'spki', format: 'pem' }).toString() }
  const answer = { certs } as unknown as Awaited<ReturnType<OAuth2Client['getFederatedSignonCertsAsync']>>
  client.getFederatedSignonCertsAsync = async () => answer
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const token = (claims: object = {}) => {
    const iat = Math.floor(Date.now() / 1000)
    const email = { email: 'connect@p.iam.gserviceaccount.com', email_verified: true }
    const all = {
      iss: 'https://accounts.google.com',
      aud: AUDIENCE,
      sub: '1',
      iat,
      exp: iat + 3600,
      ...email,
      ...claims,
    }
    const signed = `${part({ alg: 'RS256', kid: 'key' })}.${part(all)}`
    return `${signed}.${sign('sha256', Buffer.from(signed), privateKey).toString('base64url')}`
  }
  return { client, token }
}
