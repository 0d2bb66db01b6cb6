import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { assign } from './assignment.ts'

const TOPICS = ['a', 'b', 'c']
const MEMBERS = fc.uniqueArray(
  fc.record({ memberId: fc.string({ minLength: 1, maxLength: 4 }), topics: fc.subarray(TOPICS) }),
  {
    selector: ({ memberId }) => memberId,
    maxLength: 6,
  },
)
const PARTITIONS = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 3, maxLength: 3 })

test('every partition of a wanted topic has one owner, who wants it, whatever the order of members', () => {
  fc.assert(
    fc.property(MEMBERS, PARTITIONS, (members, counts) => {
      const partitionsOf = new Map(
        TOPICS.map((topic, i) => [topic, Array.from({ length: counts[i] ?? 0 }, (_, p) => p)]),
      )
      const assigned = assign(members, partitionsOf)
      assert.deepEqual(assign(members.toReversed(), partitionsOf), assigned)
      assert.deepEqual([...assigned.keys()].sort(), members.map(({ memberId }) => memberId).sort())
      const owned = [...assigned].flatMap(([memberId, shares]) =>
        shares.map(({ topic, partition }) => ({ memberId, topic, partition })),
      )
      for (const { memberId, topic } of owned)
        assert.ok(members.find((m) => m.memberId === memberId)?.topics.includes(topic))
      const expected = TOPICS.filter((topic) => members.some(({ topics }) => topics.includes(topic)))
      const all = expected.flatMap((topic) =>
        (partitionsOf.get(topic) ?? []).map((partition) => `${topic}${partition}`),
      )
      assert.deepEqual(owned.map(({ topic, partition }) => `${topic}${partition}`).sort(), all.sort())
    }),
  )
})

test('members that want the same share alike', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), PARTITIONS, (size, counts) => {
      const members = Array.from({ length: size }, (_, i) => ({ memberId: `m${i}`, topics: TOPICS }))
      const partitionsOf = new Map(
        TOPICS.map((topic, i) => [topic, Array.from({ length: counts[i] ?? 0 }, (_, p) => p)]),
      )
      const shares = [...assign(members, partitionsOf).values()].map(({ length }) => length)
      assert.ok(Math.max(...shares) - Math.min(...shares) <= 1)
    }),
  )
})
