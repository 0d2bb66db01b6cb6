import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createTopics, startKafka } from '../../local/kafka/index.ts'
import { eventually } from '../../test/support/eventually.ts'
import {
  BatchBuilder,
  connectKafka,
  joinGroup,
  type KafkaClient,
  type Membership,
  openProducer,
  readCommits,
} from './index.ts'

const TOPIC = 'numbers'
const GOAL = 3000
const PER_TRANSACTION = 10
const at = { topic: TOPIC, partition: 0 }

/** The owner's loop: any error, new life, read the position, go on. */
async function write(client: KafkaClient, progress: (position: number) => void): Promise<number> {
  let lives = 0
  for (let position = 0; position < GOAL; ) {
    try {
      const producer = await openProducer(client, { transactionalId: 'writer', timeoutMs: 10_000 })
      lives++
      try {
        position = Math.max(0, (await readCommits(client, 'positions', [at]))[0]?.offset ?? 0)
        while (position < GOAL) {
          const builder = new BatchBuilder(4096)
          for (let i = 0; i < PER_TRANSACTION; i++) {
            const value = Buffer.from(`${position + i}`)
            builder.append(null, value, 0, value.length, Date.now())
          }
          const next = position + PER_TRANSACTION
          await producer.transact(
            [{ ...at, batch: await builder.seal('none') }],
            [{ ...at, group: 'positions', offset: next, metadata: '' }],
          )
          position = next
          progress(position)
        }
      } finally {
        await producer.close()
      }
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  return lives
}

test('the broker is killed and restarted three times: every number once, in order, and commits go on', {
  timeout: 120_000,
}, async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'millrace-restart-'))
  const kafka = await startKafka({ dataDir, env: { ...process.env, KAFKA_BROKERS: '' } })
  const client = connectKafka({ brokers: [kafka.brokers], auth: 'none', tls: false }, 'test', {
    requestTimeoutMs: 2000,
  })
  const seen: number[] = []
  let [commits, present]: [number, Membership | undefined] = [0, undefined]
  await createTopics(client, [{ topic: TOPIC, partitions: 1 }])
  const group = await joinGroup(
    client,
    { groupId: 'readers', topics: [TOPIC], commitTimeoutMs: 3000 },
    {
      // The values stand for the rows of a table: after a new membership they decide where to go on.
      assigned: async (membership) => {
        present = membership
        const [commit] = await membership.readCommits()
        const until = commit && commit.offset >= 0 ? Number(commit.metadata) : 0
        seen.length = until
        membership.seek(at, Math.max(0, commit?.offset ?? 0))
      },
      batch: (membership, batch) => {
        batch.visit(
          0,
          ({ buffer, valueStart, valueEnd }) => void seen.push(Number(buffer.toString('latin1', valueStart, valueEnd))),
        )
        membership.commit([{ ...at, offset: batch.lastOffset + 1, metadata: `${seen.length}` }]).then(
          () => commits++,
          () => undefined,
        )
      },
      stopped: (_membership, stop) => assert.fail(JSON.stringify(stop)),
      revoking: async () => undefined,
    },
  )
  t.after(async () => {
    await group.close()
    await client.close()
    await kafka.stop()
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 3 })
  })
  let position = 0
  const writing = write(client, (now) => (position = now))
  for (const share of [0.2, 0.4, 0.6]) {
    await eventually(() => position > GOAL * share, { timeoutMs: 60_000 })
    await kafka.kill()
    await kafka.restart()
  }
  const lives = await writing
  await eventually(() => seen.length >= GOAL, { timeoutMs: 60_000 })
  assert.deepEqual(
    seen,
    Array.from({ length: GOAL }, (_, i) => i),
  )
  assert.ok(lives > 1 && commits > 0 && present, `${lives} lives, ${commits} commits`)
})
