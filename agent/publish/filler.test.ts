import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { type Followed, Follower, LogPattern } from '../follow/index.ts'
import { Filler } from './filler.ts'
import { Filling } from './filling.ts'
import { TopicLimits } from './lane-limits.ts'
import { Session } from './session.ts'

const nothing = () => Promise.resolve()
const STORE = {
  openProducer: () => Promise.resolve({ send: nothing, transact: nothing, close: nothing }),
  partitionsOf: (topic: string) => Promise.resolve([{ topic, partition: 0 }]),
  readCommits: () => Promise.resolve([{ topic: 'logs', partition: 0, offset: -1, metadata: '' }]),
}

async function fillerOf(
  t: TestContext,
  pattern: string,
  leaves: (followed: Followed) => boolean = () => false,
  finishAfterMs = 60_000,
) {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-filler-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const report = () => undefined
  const framing = { kind: 'lines', maxEventBytes: 1000 } as const
  const logs = [{ pattern: new LogPattern(join(folder, pattern)), route: 'lines', framing, complete: false }]
  const follower = new Follower({ agent: { id: 'a', finish_after: finishAfterMs }, logs, report })
  t.after(() => follower.close())
  follower.adopt([], true)
  const limits = new TopicLimits({ batch_bytes: 100_000, max_event_bytes: 1000 })
  const filler = new Filler(follower, limits, { agent: { poll_interval: 0 }, topicOf: () => 'logs', leaves, report })
  const session = await Session.open(STORE, { agent: { id: 'a', transaction_timeout: 1 }, topics: ['logs'], report })
  return { folder, follower, filler, session }
}

test('what is written to the newest file while an older one is read waits: something may be written to that one before it', async (t) => {
  const { folder, filler, session } = await fillerOf(t, 'app.log', ({ file }) => {
    if (!file.newest) appendFileSync(join(folder, 'app.log'), 'too early\n')
    return false
  })
  writeFileSync(join(folder, 'app.log.1'), 'old\n')
  writeFileSync(join(folder, 'app.log'), 'new\n')
  const filling = new Filling()
  await filler.fill(filling, session, [])
  assert.equal(filling.batch.lanes[0]?.bytes, 'old\nnew\n'.length)
})

test('told to begin at the end, it passes files that Kafka does not know, and goes on with those that it does', async (t) => {
  const { folder, follower, filler, session } = await fillerOf(t, '*.log')
  for (const name of ['known', 'unknown']) writeFileSync(join(folder, `${name}.log`), `${name}\n`)
  await follower.look()
  const known = [...follower.sources.values()].find(({ file }) => file.seen.path.endsWith('/known.log'))!
  const entry = { source: known.source.id, position: 0, start: 0, head: 0, tail: 0, file: 0, retired: false }
  session.note({ source: entry.source, topic: 'logs', change: () => entry })
  const skipped = await filler.skip(session, new Set(['logs']))
  assert.deepEqual(
    skipped.map(({ followed }) => followed.file.seen.path),
    [join(folder, 'unknown.log')],
  )
  assert.equal(known.source.progress.position, 0)
})

test('a source about which something is decided is read no further until that is done; others are', async (t) => {
  const { folder, follower, filler, session } = await fillerOf(t, '*.log')
  writeFileSync(join(folder, 'decided.log'), 'decided\n')
  writeFileSync(join(folder, 'other.log'), 'other\n')
  await follower.look()
  const { source } = [...follower.sources.values()].find(({ file }) => file.seen.path.endsWith('/decided.log'))!
  const decision = { source: source.id, topic: 'logs', change: () => undefined, settle: () => undefined }
  const filling = new Filling()
  await filler.fill(filling, session, [decision])
  assert.deepEqual(filling.decisions, [decision])
  assert.equal(filling.batch.lanes[0]?.bytes, 'other\n'.length)
  filler.frozen.delete(source.id)
  await filler.fill(filling, session, [])
  assert.equal(filling.batch.lanes[0]?.bytes, 'other\ndecided\n'.length)
})

test('a compressed file that is cut off is read as far as its lines go, and on when the rest comes; at the end it is passed', async (t) => {
  const { folder, follower, filler, session } = await fillerOf(t, 'app.log*', undefined, 0)
  const text = Array.from({ length: 20_000 }, (_, n) => `${n} ${Math.random()}\n`).join('')
  const whole = gzipSync(text)
  const path = join(folder, 'app.log.1.gz')
  writeFileSync(path, whole.subarray(0, whole.length / 2)) // as when copying it over the network has come to a halt
  writeFileSync(join(folder, 'app.log'), 'new\n')
  await follower.look()
  const rotated = [...follower.sources.values()].find(({ file }) => file.seen.path === path)!
  for (let fills = 0; fills < 5; fills++) await readWhole(filler, session)
  assert.equal(text[rotated.source.progress.position - 1], '\n')
  assert.equal(rotated.source.finished, false)
  writeFileSync(path, whole)
  await follower.look()
  for (let fills = 0; fills < 5; fills++) await readWhole(filler, session)
  assert.equal(rotated.source.progress.position, text.length)
  assert.equal(rotated.source.finished, true)
})

/** Reads what there is into batches, as those before them have been sent. */
async function readWhole(filler: Filler, session: Session): Promise<void> {
  for (let isFull = true; isFull; ) {
    const filling = new Filling()
    await filler.fill(filling, session, [])
    isFull = filling.batch.full
  }
}

test('told to begin at the end, it is not stopped by a compressed file that is cut off', async (t) => {
  const { folder, follower, filler, session } = await fillerOf(t, 'app.log*')
  const whole = gzipSync(Array.from({ length: 20_000 }, (_, n) => `${n} ${Math.random()}\n`).join(''))
  writeFileSync(join(folder, 'app.log.1.gz'), whole.subarray(0, whole.length / 2))
  await follower.look()
  assert.equal((await filler.skip(session, new Set(['logs']))).length, 1)
})
