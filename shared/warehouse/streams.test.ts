import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Channel } from './channel.ts'
import { GrpcError, STATUS } from './grpc.ts'
import { commitStream, createPacer, createStream, finalizeStream, isStreamOf, tableOfStream } from './streams.ts'

const TABLE = { project: 'p', dataset: 'd', table: 't' }
const STREAM = 'projects/p/datasets/d/tables/t/streams/s'
const DENIED = new GrpcError(STATUS.PERMISSION_DENIED, 'denied on resource (or it may not exist)')

/** A channel whose calls have these results, one after the other, and the routing header of each call. */
function answering(...results: (object | Error)[]): { channel: Channel; routes: string[] } {
  const routes: string[] = []
  const unary: Channel['unary'] = async (_method, routing) => {
    routes.push(routing)
    const result = results.shift() ?? assert.fail('one call too many')
    if (result instanceof Error) throw result
    return { ...result }
  }
  return { channel: { unary, openAppend: () => assert.fail('no append'), close: () => undefined }, routes }
}

const atOnce = async () => undefined

void test('each call says in its header which table or stream it is for: outside the US the front end wants it', async () => {
  const { channel, routes } = answering({ name: STREAM }, { rowCount: '7' }, { commitTime: {} })
  assert.equal(await createStream(channel, TABLE, 'COMMITTED', atOnce), STREAM)
  assert.deepEqual(await finalizeStream(channel, STREAM, async () => true), { kind: 'finalized', rows: 7 })
  assert.equal(await commitStream(channel, STREAM), 'committed')
  const table = 'projects%2Fp%2Fdatasets%2Fd%2Ftables%2Ft'
  assert.deepEqual(routes, [`parent=${table}`, `name=${table}%2Fstreams%2Fs`, `parent=${table}`])
})

void test('a table made a moment ago may be denied for a while; one that stays denied is an error', async () => {
  assert.equal(
    await createStream(answering(DENIED, DENIED, { name: STREAM }).channel, TABLE, 'PENDING', atOnce),
    STREAM,
  )
  const denied = answering(DENIED, DENIED, DENIED, DENIED)
  await assert.rejects(createStream(denied.channel, TABLE, 'PENDING', atOnce), DENIED)
})

void test('a stream is gone when the service does not know it, or when its table is not there', async () => {
  const unknown = new GrpcError(3, 'Invalid stream name. Entity: x')
  assert.deepEqual(await finalizeStream(answering(unknown).channel, STREAM, async () => true), { kind: 'gone' })
  assert.deepEqual(await finalizeStream(answering(DENIED).channel, STREAM, async () => false), { kind: 'gone' })
  await assert.rejects(
    finalizeStream(answering(DENIED).channel, STREAM, async () => true),
    DENIED,
  )
})

void test('a stream that is committed already is; one that is unknown is gone; one that is not finalized is an error', async () => {
  const answered = (code: string) => answering({ streamErrors: [{ code, errorMessage: 'so it is' }] }).channel
  assert.equal(await commitStream(answered('STREAM_ALREADY_COMMITTED'), STREAM), 'committed')
  assert.equal(await commitStream(answered('STREAM_NOT_FOUND'), STREAM), 'gone')
  assert.equal(await commitStream(answering(new GrpcError(STATUS.NOT_FOUND, 'x')).channel, STREAM), 'gone')
  await assert.rejects(commitStream(answered('INVALID_STREAM_STATE'), STREAM), /INVALID_STREAM_STATE so it is/)
  await assert.rejects(commitStream(answering(DENIED).channel, STREAM), DENIED)
})

void test("a stream's name says its table", () => {
  assert.deepEqual(tableOfStream(STREAM), TABLE)
  assert.ok(isStreamOf(STREAM, TABLE))
  assert.ok(!isStreamOf(STREAM, { ...TABLE, table: 't2' }))
})

void test('streams are made in a burst, and then one by one', async () => {
  const begun = performance.now()
  const turn = createPacer(40, 3)
  let made = 0
  const calls = Array.from({ length: 7 }, () => turn().then(() => made++))
  await Promise.resolve()
  await Promise.resolve()
  assert.equal(made, 3, 'no timer between')
  await Promise.all(calls)
  assert.ok(performance.now() - begun > 150, 'four more take their turns, of 40 ms each')
})
