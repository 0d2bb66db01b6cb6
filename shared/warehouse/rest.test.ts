import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { Config } from '../config/index.ts'
import { openRest } from './rest.ts'

void test('a request without an answer ends, so that it can be made again', { timeout: 60_000 }, async (t) => {
  const hung: ServerResponse[] = []
  const server = createServer((request, response) => {
    request.resume()
    if (hung.length === 0) hung.push(response)
    else response.setHeader('content-type', 'application/json').end('{"answer":1}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    hung[0]?.end()
    server.close()
  })
  const bigquery = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const config = { project: 'p', region: 'EU', endpoints: { bigquery } } as unknown as Config
  const ask = (withinMs?: number) =>
    openRest(config, 'test', withinMs).call({ method: 'GET', projectId: 'p', uri: 'datasets' })
  await assert.rejects(ask(500), /BigQuery does not answer/)
  assert.deepEqual(await ask(), { answer: 1 })
})
