import type { TopicPartition } from './types.ts'

export interface Subscription {
  readonly memberId: string
  readonly topics: readonly string[]
}

/**
 * Who reads what: each partition goes to the member with the fewest among those that want its topic, so that members of an older
 * and a newer configuration can live side by side. The same input gives the same answer, in any order of members.
 */
export function assign(members: readonly Subscription[], partitionsOf: ReadonlyMap<string, readonly number[]>) {
  const inOrder = members.toSorted((a, b) => (a.memberId < b.memberId ? -1 : 1))
  const assigned = new Map(inOrder.map(({ memberId }) => [memberId, [] as TopicPartition[]]))
  for (const topic of [...partitionsOf.keys()].sort()) {
    const wanting = inOrder.filter(({ topics }) => topics.includes(topic))
    const shares = wanting.map(({ memberId }) => assigned.get(memberId)!)
    for (const partition of (partitionsOf.get(topic) ?? []).toSorted((a, b) => a - b)) {
      const smallest = shares.reduce((least, share) => (share.length < least.length ? share : least), shares[0] ?? [])
      smallest.push({ topic, partition })
    }
  }
  return assigned
}
