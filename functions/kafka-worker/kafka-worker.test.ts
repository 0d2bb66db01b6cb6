import assert from 'node:assert/strict'
import { test } from 'node:test'
import protobuf from 'protobufjs'
import { readCommits } from '../../shared/kafka/index.ts'
import { eventually } from '../../test/support/eventually.ts'
import { openPipeline, type Pipeline, VISIT_PROTO } from '../../test/support/pipeline.ts'

const Visit = protobuf.parse(VISIT_PROTO).root.lookupType('shop.Visit')

function visits(from: number, count: number, encode: (visit: object) => Buffer): Buffer[] {
  return Array.from({ length: count }, (_, index) => {
    const number = from + index
    return encode({ number, page: `/p/${number % 17}`, price: number / 4, tags: number % 3 === 0 ? ['a', 'b'] : [] })
  })
}

const json = (visit: object): Buffer => Buffer.from(JSON.stringify(visit))
const proto = (visit: object): Buffer => Buffer.from(Visit.encode(Visit.fromObject(visit)).finish())

/** Rows, distinct numbers and distinct coordinates of a route's table. */
async function tally(pipeline: Pipeline, table: string): Promise<string> {
  const [row] = await pipeline.query(
    `SELECT COUNT(*) AS n, COUNT(DISTINCT number) AS numbers, COUNT(DISTINCT CONCAT(millrace.source, '@', CAST(millrace.position AS STRING))) AS places FROM logs.${table}`,
  )
  return `${row?.['n']} ${row?.['numbers']} ${row?.['places']}`
}

void test('JSON and protobuf events reach their tables exactly once through kill -9', {
  timeout: 120_000,
}, async (t) => {
  const pipeline = await openPipeline(t, {
    consumer: 'flush_bytes: 64KiB',
    routes: {
      json: 'schema: visit.proto#shop.Visit, format: json',
      proto: 'schema: visit.proto#shop.Visit, format: protobuf',
    },
  })
  const rounds = 3
  const perRound = 3000
  for (let round = 0; round < rounds; round++) {
    const worker = pipeline.worker()
    for (const partition of [0, 1]) {
      const from = (round * 2 + partition) * perRound
      await pipeline.publish('json', visits(from, perRound, json), {
        partition,
        compression: round % 2 ? 'zstd' : 'none',
      })
      await pipeline.publish('proto', visits(from, perRound, proto), { partition })
    }
    const enough = (round + 0.5) * 2 * perRound
    await eventually(
      async () => {
        const [row] = await pipeline.query('SELECT COUNT(*) AS n FROM logs.json')
        return Number(row?.['n']) >= enough
      },
      { what: `half of round ${round}` },
    ).catch((error: unknown) => assert.fail(`${String(error)}\n${worker.log.join('')}`))
    await worker.kill('SIGKILL')
  }
  const last = pipeline.worker()
  // These are its own: once they are there it has taken over, however much the one before has carried.
  for (const partition of [0, 1]) {
    const from = rounds * 2 * perRound + partition
    await pipeline.publish('json', visits(from, 1, json), { partition })
    await pipeline.publish('proto', visits(from, 1, proto), { partition })
  }
  const all = rounds * 2 * perRound + 2
  for (const table of ['json', 'proto']) {
    await eventually(async () => assert.equal(await tally(pipeline, table), `${all} ${all} ${all}`) ?? true, {
      what: table,
    }).catch((error: unknown) => assert.fail(`${(error as Error).cause}\n${last.log.join('')}`))
  }
  assert.equal(await last.kill('SIGTERM'), 0)
  await assertClean(pipeline)
})

/** Every commit of the worker's group says that nothing is under way. */
async function assertClean({ kafka, config, topics }: Pipeline): Promise<void> {
  const partitions = Object.values(topics).flatMap((topic) => [0, 1].map((partition) => ({ topic, partition })))
  for (const { topic, partition, metadata } of await readCommits(kafka, `millrace.${config.name}.worker`, partitions)) {
    assert.match(metadata, /"intents":\[\],"clean":true/, `${topic}/${partition}`)
  }
}
