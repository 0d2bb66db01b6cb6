import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { suite, test } from 'node:test'
import { agentPlan, describeAgentHarm } from './agent/plan.ts'
import type { Step } from './harness/plan.ts'
import { runPlan } from './harness/run-plan.ts'
import { describeKafkaHarm, kafkaPlan } from './kafka/plan.ts'

const FOR_MS = 60_000
const SEEDS = Array.from({ length: 100 }, (_, i) => i + 1)

/** Issue 6's list and issue 7's: each must be drawn. */
const KAFKA_HARMS = [
  ...['kill -9', 'stop', 'join', 'freeze', 'freeze beyond the session', 'expire', 'broker', 'cut'],
  ...['lose-answer', 'cut-before', 'cut-after', 'hold'].map((action) => `OffsetCommit ${action}`),
  ...['Fetch', 'Heartbeat', 'JoinGroup', 'SyncGroup', 'OffsetFetch'].map((api) => `${api} lose-answer`),
  ...['drop before', 'drop after', 'hang', 'hang landing', 'delay'].map((fault) => `AppendRows ${fault}`),
  ...['OFFSET_OUT_OF_RANGE', 'OFFSET_ALREADY_EXISTS', 'ABORTED'].map((code) => `AppendRows error ${code}`),
  ...['INTERNAL after', 'UNAVAILABLE after'].map((code) => `AppendRows error ${code}`),
  ...['RESOURCE_EXHAUSTED', 'RESOURCE_EXHAUSTED after'].map((code) => `AppendRows error ${code}`),
  ...['AppendRows of letters drop after', 'CreateWriteStream drop after', 'FinalizeWriteStream drop after'],
  ...[
    'CreateWriteStream error UNAVAILABLE before',
    'FinalizeWriteStream error RESOURCE_EXHAUSTED',
    'jobs.* drop before',
  ],
]
const AGENT_HARMS = [
  ...['kill -9', 'stop', 'reload', 'freeze', 'cut', 'broker', 'broker away'],
  ...['Produce lose-answer', 'EndTxn cut-after', 'TxnOffsetCommit hold', 'InitProducerId cut-before'],
  ...[
    'error UNAVAILABLE before',
    'error UNAVAILABLE after',
    'drop before',
    'drop after',
    'cut error',
    'cut drop',
    'delay',
  ].map((fault) => `storage ${fault}`),
  ...['create', 'copytruncate', 'compress', 'delaycompress', 'copytruncate and compress'],
]

const PROGRAMS = [
  {
    name: 'kafka',
    harms: KAFKA_HARMS,
    plan: (seed: number) => kafkaPlan(seed, FOR_MS),
    names: (seed: number) => kafkaPlan(seed, FOR_MS).map(({ harm }) => describeKafkaHarm(harm, false)),
  },
  {
    name: 'agent',
    harms: AGENT_HARMS,
    plan: (seed: number) => agentPlan(seed, FOR_MS),
    names: (seed: number) => agentPlan(seed, FOR_MS).map(({ harm }) => describeAgentHarm(harm, false)),
  },
]

for (const { name, harms, plan, names } of PROGRAMS) {
  void suite(`the plan of chaos ${name}`, () => {
    void test('is the same for the same seed, and another for each other one', () => {
      for (const seed of SEEDS) assert.deepEqual(plan(seed), plan(seed))
      assert.equal(new Set(SEEDS.map((seed) => JSON.stringify(plan(seed)))).size, SEEDS.length)
    })

    void test('has every kind of harm over 100 seeds', () => {
      const drawn = new Set(SEEDS.flatMap(names))
      assert.deepEqual(new Set(harms).difference(drawn), new Set())
    })

    void test('is in order, and as long as it was asked to be', () => {
      for (const seed of SEEDS) {
        const times = plan(seed).map(({ atMs }) => atMs)
        assert.deepEqual(
          times,
          times.toSorted((a, b) => a - b),
        )
        assert.ok(times.length > 60 && times.every((atMs) => atMs >= 0 && atMs < FOR_MS))
      }
    })
  })
}

void suite('a plan is carried out', () => {
  const steps = (...harms: string[]): Step<string>[] => harms.map((harm, i) => ({ atMs: i, harm }))
  const laneOf = (harm: string) => harm.slice(0, 1)

  void test('whole, in the order of each lane; one lane does not wait for another', async () => {
    const done: string[] = []
    const slow = Promise.withResolvers<void>()
    await runPlan(steps('a1', 'a2', 'b1', 'b2'), laneOf, async (harm) => {
      if (harm === 'a1') await slow.promise
      if (harm === 'b2') slow.resolve()
      done.push(harm)
    })
    assert.deepEqual(done, ['b1', 'b2', 'a1', 'a2'])
  })

  void test('until a harm fails, whatever the others do', async () => {
    const plan = [...steps('a1', 'b1'), { atMs: 60_000, harm: 'a2' }]
    const act = async (harm: string) => {
      await delay(1)
      if (harm === 'b1') throw new Error('no broker')
    }
    await assert.rejects(runPlan(plan, laneOf, act), /no broker/)
  })
})
