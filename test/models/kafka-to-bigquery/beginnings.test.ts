import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isAdded } from '../../../functions/kafka-worker/prepare-commits.ts'
import type { Committed } from '../../../shared/kafka/index.ts'
import { EMPTY_LOG, encodeLog } from '../../../shared/warehouse/protocol/log.ts'
import { Owner } from '../../../shared/warehouse/protocol/owner.ts'
import { createRandom, type Random } from './services.ts'

/** Members of a group with `from: end`, and a topic that gets partitions: which of them begin at their start. */
const SCHEDULES = 3000
const STEPS = 60
const [START, END] = [0, 100]

type Mutant = 'none' | 'any-commit' | 'never-added'
/** A partition's owner in one generation. */
type Task = { readonly partition: number; readonly generation: number; owner?: Owner }

class Topic {
  readonly random: Random
  readonly mutant: Mutant
  partitions = 1
  /** Partitions that were there when the first member looked, and when the first commit was made. */
  seen: number | undefined
  begun: number | undefined
  generation = 0
  readonly commits = new Map<number, Committed>()
  /** Where each partition was begun first, as far as a commit says so. */
  readonly beginnings = new Map<number, number>()
  tasks: Task[] = []

  constructor(seed: number, mutant: Mutant) {
    this.random = createRandom(seed)
    this.mutant = mutant
  }

  step(): void {
    const roll = this.random.below(20)
    if (roll === 0) this.partitions += 1 + this.random.below(2)
    else if (roll < 3) this.rebalance()
    else if (this.tasks.length > 0) this.act(this.random.pick(this.tasks))
  }

  /** Whoever owns them, dead or alive, is fenced; what was not committed is forgotten. */
  rebalance(): void {
    this.generation++
    const task = (_: unknown, partition: number) => ({ partition, generation: this.generation })
    this.tasks = Array.from({ length: this.partitions }, task)
  }

  act(task: Task): void {
    if (!task.owner) return this.read(task)
    for (const effect of task.owner.handle({ kind: 'turn' })) {
      if (effect.kind !== 'commit' || task.generation !== this.generation) continue
      this.commit(task.partition, effect.offset, effect.metadata)
      task.owner.handle({ kind: 'committed' })
    }
  }

  read(task: Task): void {
    this.seen ??= this.partitions
    const at = { topic: 'visits', partition: task.partition }
    const own = this.commits.get(task.partition) ?? { ...at, offset: -1, metadata: '' }
    const isNew =
      own.offset < 0 &&
      isAdded(
        at,
        [...this.commits.values()].map((commit) => this.#mutate(commit)),
      )
    const metadata = encodeLog({ ...EMPTY_LOG, partitions: this.partitions })
    if (isNew) this.commit(task.partition, START, metadata)
    const { offset } = this.commits.get(task.partition) ?? own
    const content = own.offset < 0 ? { offset, metadata } : own
    task.owner = new Owner({ isOwnStream: () => true, from: 'end' })
    task.owner.handle({ kind: 'read', ...content, start: START, end: END, now: 1 })
  }

  commit(partition: number, offset: number, metadata: string): void {
    this.begun ??= this.partitions
    if (!this.beginnings.has(partition)) this.beginnings.set(partition, offset)
    this.commits.set(partition, { topic: 'visits', partition, offset, metadata })
  }

  #mutate(commit: Committed): Committed {
    const partitions = { none: undefined, 'any-commit': 0, 'never-added': 1000 }[this.mutant]
    return partitions === undefined ? commit : { ...commit, metadata: JSON.stringify({ partitions }) }
  }
}

/** The first partition that was not begun where it should; undefined: none. */
function findWrong(seed: number, mutant: Mutant, tally = { first: 0, added: 0 }): string | undefined {
  const topic = new Topic(seed, mutant)
  for (let step = 0; step < STEPS; step++) topic.step()
  for (const [partition, offset] of topic.beginnings) {
    // Added between the first look and the first commit: either is right.
    const due = partition < (topic.seen ?? 0) ? END : partition >= (topic.begun ?? 0) ? START : offset
    if (offset !== due) return `schedule ${seed}: partition ${partition} begun at ${offset}, not at ${due}`
    if (due === END) tally.first++
    else tally.added++
  }
  return undefined
}

void test('a partition begins at its start if it was added, else where the route says, whoever dies when', () => {
  const tally = { first: 0, added: 0 }
  for (let seed = 1; seed <= SCHEDULES; seed++) assert.equal(findWrong(seed, 'none', tally), undefined)
  assert.ok(tally.first > SCHEDULES && tally.added > SCHEDULES, JSON.stringify(tally))
})

for (const mutant of ['any-commit', 'never-added'] as const) {
  void test(`${mutant} is caught`, (t) => {
    for (let seed = 1; seed <= SCHEDULES; seed++) {
      const wrong = findWrong(seed, mutant)
      if (wrong) return t.diagnostic(wrong)
    }
    assert.fail('not caught')
  })
}
