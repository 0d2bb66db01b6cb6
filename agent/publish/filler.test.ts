import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Follower, LogPattern } from '../follow/index.ts'
import { Filler } from './filler.ts'
import { newFilling } from './filling.ts'
import { TopicLimits } from './lane-limits.ts'
import { Session } from './session.ts'

const nothing = () => Promise.resolve()
const STORE = {
  openProducer: () => Promise.resolve({ send: nothing, transact: nothing, close: nothing, worn: false }),
  partitionsOf: (topic: string) => Promise.resolve([{ topic, partition: 0 }]),
  readCommits: () => Promise.resolve([{ topic: 'logs', partition: 0, offset: -1, metadata: '' }]),
}

test('what is written to the newest file while an older one is read waits: something may be written to that one before it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-filler-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const [path, report] = [join(folder, 'app.log'), () => undefined]
  const framing = { kind: 'lines', maxEventBytes: 1000 } as const
  const logs = [{ pattern: new LogPattern(path), route: 'lines', framing, complete: false }]
  const follower = new Follower({ agent: 'a', logs, finishAfterMs: 60_000, report })
  t.after(() => follower.close())
  follower.adopt([], true)
  const leaves = ({ file }: { file: { newest: boolean } }) => {
    if (!file.newest) appendFileSync(path, 'too early\n')
    return false
  }
  const limits = new TopicLimits({ batchBytes: 100_000, maxEventBytes: 1000 })
  const filler = new Filler(follower, limits, { topicOf: () => 'logs', pollMs: 0, leaves, report })
  const session = await Session.open(STORE, { agent: 'a', topics: ['logs'], transactionTimeoutMs: 1, report })
  writeFileSync(`${path}.1`, 'old\n')
  writeFileSync(path, 'new\n')
  const filling = newFilling()
  await filler.fill(filling, session, [])
  assert.equal(filling.batch.bytes, 'old\nnew\n'.length)
})
