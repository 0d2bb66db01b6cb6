import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseConfig } from '../../shared/config/index.ts'
import { Follower } from '../follow/index.ts'
import { HostLock } from './lock.ts'
import { Publisher } from './publisher.ts'
import type { PositionsStore } from './session.ts'
import { Waker } from './waker.ts'

test('brokers that never answer are told of, and uploads wait for them no longer', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const never = () => new Promise<never>(() => undefined)
  const store: PositionsStore = { openProducer: never, partitionsOf: never, readCommits: never }
  const folder = mkdtempSync(join(tmpdir(), 'millrace-publisher-'))
  const lock = new HostLock(join(folder, 'lock'), 'lock')
  t.after(() => {
    lock.release()
    rmSync(folder, { recursive: true })
  })
  const { agent } = parseConfig('{ project: p, dataset: d, routes: {} }', '/millrace.yaml')
  const told: string[] = []
  const publisher = new Publisher({
    store,
    follower: new Follower({ agent, logs: [], report: () => undefined }),
    lock,
    waker: new Waker(),
    agent,
    topics: ['lines'],
    topicOf: () => 'lines',
    leaves: () => false,
    from: { new: 'start', forgotten: undefined },
    report: (_about, message) => void told.push(message),
  })
  void publisher.run(new AbortController().signal)
  t.mock.timers.tick(9_999)
  assert.deepEqual(told, [])
  t.mock.timers.tick(1)
  assert.deepEqual(told, ['not in touch with Kafka, trying again: no answer yet'])
  await publisher.tried
})
