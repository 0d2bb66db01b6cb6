import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { encodeBase32 } from '../follow/base32.ts'
import { PartitionLedger } from './ledger.ts'
import { decodeEntries, type Entry, encodeEntries, METADATA_CHARS_MAX } from './positions.ts'

const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const position = fc.oneof(fc.nat(1000), fc.maxSafeNat())
const source = fc
  .tuple(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.integer({ min: 1, max: 300 }))
  .map(([hash, number]) => encodeBase32(hash) + (number > 1 ? `~${number}` : ''))
const entry: fc.Arbitrary<Entry> = fc
  .tuple(
    fc.record(
      { source, position, start: position, head: uint32, tail: uint32, file: uint32, retired: fc.boolean() },
      { noNullPrototype: true },
    ),
    fc.record(
      {
        size: position,
        born: fc.integer({ min: 1, max: 4e12 }),
        handed: fc.record({ from: position, to: position }, { noNullPrototype: true }),
      },
      { requiredKeys: [], noNullPrototype: true },
    ),
  )
  .map(([always, sometimes]) => ({ ...always, ...sometimes }))

void test('entries survive encoding', () => {
  fc.assert(
    fc.property(
      fc.array(entry, { maxLength: 20 }),
      fc.nat(500),
      fc.integer({ min: 0, max: 4e12 }),
      (entries, groups, forgottenMs) => {
        const all = { groups, forgottenMs, entries }
        assert.deepEqual(decodeEntries(encodeEntries(all)), all)
      },
    ),
  )
})

void test('an entry of an open source takes about 40 bytes, so that 75 sources fit into one commit', () => {
  const entries = Array.from({ length: 75 }, (_, n) => ({
    source: encodeBase32(Buffer.alloc(16, n)),
    position: 10_000_000 + n,
    start: 0,
    head: 1,
    tail: 2,
    file: 3,
    born: 1.8e12,
    retired: false,
  }))
  assert.ok(encodeEntries({ groups: 1, forgottenMs: Date.now(), entries }).length <= METADATA_CHARS_MAX)
})

void test('what is no encoding is refused', () => {
  const good = encodeEntries({ groups: 1, forgottenMs: 0, entries: fc.sample(entry, 1) })
  assert.throws(() => decodeEntries(good.slice(0, -8)), /cut off/)
  assert.throws(() => decodeEntries('BAAA'), /version 4/)
})

void test('a ledger spills to further groups, and its changed commits alone bring every reader to the same entries', () => {
  fc.assert(
    fc.property(fc.array(fc.array(entry, { maxLength: 60 }), { maxLength: 12 }), fc.nat(), (rounds, seed) => {
      const ledger = new PartitionLedger()
      const committed: string[] = []
      const expected = new Map<string, Entry>()
      for (const entries of rounds) {
        for (const entry of entries) {
          ledger.put(entry)
          expected.set(entry.source, entry)
        }
        const leaving = [...expected.keys()].filter((_, n) => (n + seed) % 7 === 0)
        for (const source of leaving) {
          ledger.remove(source)
          expected.delete(source)
        }
        for (const { group, metadata } of ledger.takeChanged()) committed[group] = metadata
      }
      assert.deepEqual(ledger.takeChanged(), [])
      const read = new PartitionLedger(committed)
      assert.deepEqual(new Map(read.entries.map((entry) => [entry.source, entry])), expected)
      assert.equal(committed[0] ? decodeEntries(committed[0]).groups : 1, ledger.groups)
    }),
    { numRuns: 50 },
  )
})

void test('of retired sources with one first event the highest stays known, so that its number is not given again', () => {
  const ledger = new PartitionLedger()
  ledger.retiredMax = 0
  const base = encodeBase32(Buffer.alloc(16, 1))
  const retired = { position: 7, start: 0, size: 7, head: 1, tail: 2, file: 3, retired: true }
  for (const source of [base, `${base}~2`, `${base}~3`]) ledger.retire({ source, ...retired })
  assert.deepEqual(
    ledger.entries.map(({ source }) => source),
    [`${base}~3`],
  )
})
