import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Rest } from './rest.ts'
import type { TableSpec } from './table-spec.ts'
import { ensureTable } from './tables.ts'

const TABLE = { project: 'p', dataset: 'd', table: 't' }
const fields = [{ name: 'day', type: 'DATE' }]

/** What is sent for a table that is not there yet. */
async function created(spec: Omit<TableSpec, 'fields'>): Promise<Record<string, unknown>> {
  let sent = {}
  const call: Rest['call'] = async ({ method, json = {} }) => {
    if (method === 'GET') throw Object.assign(new Error('not found'), { code: 404 })
    sent = JSON.parse(JSON.stringify(json)) as object
    return {}
  }
  const state = await ensureTable({ project: 'p', region: 'EU', call }, TABLE, { fields, ...spec })
  assert.deepEqual(state, { kind: 'created', gained: [] })
  return sent
}

const base = { schema: { fields }, tableReference: { projectId: 'p', datasetId: 'd', tableId: 't' } }

void test('a table is made with the partitions, clusters, labels and expiry of its route, and with nothing else', async () => {
  assert.deepEqual(await created({}), { ...base, labels: {} })
  const route = {
    partition: { by: 'hour', field: 'day' },
    cluster: ['day'],
    labels: { a: 'b' },
    expireAfterMs: 5,
  } as const
  assert.deepEqual(await created({ ...route, description: 'x' }), {
    ...base,
    description: 'x',
    labels: { a: 'b' },
    clustering: { fields: ['day'] },
    timePartitioning: { type: 'HOUR', field: 'day', expirationMs: '5' },
  })
  assert.deepEqual((await created({ partition: { by: 'day' } }))['timePartitioning'], { type: 'DAY' })
})

void test('without partitions the table itself expires', async () => {
  const before = Date.now()
  const { expirationTime, timePartitioning } = await created({ partition: { by: 'none' }, expireAfterMs: 60_000 })
  assert.equal(timePartitioning, undefined)
  assert.ok(Math.abs(Number(expirationTime) - before - 60_000) < 30_000)
})
