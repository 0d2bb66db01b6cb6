import {
  type Committed,
  type FetchedBatch,
  keyOf,
  type Membership,
  type PartitionOffsets,
  type PartitionStop,
} from '../../shared/kafka/index.ts'
import { lossAt } from '../../shared/warehouse/protocol/take-over.ts'
import { PartitionTask } from './partition-task.ts'
import type { TaskContext } from './place.ts'
import type { RouteSink } from '../../shared/dead-letters/index.ts'

/** What is durable is put into the log at least this often, even when no append needs a commit. */
const CHECKPOINT_EVERY_MS = 5000

/** All partitions of one membership, and the one commit at a time that they share. */
export class Assignment {
  readonly tasks: readonly PartitionTask[]
  readonly #membership: Membership
  readonly #byKey: ReadonlyMap<string, PartitionTask>
  readonly #checkpoints: NodeJS.Timeout
  #committing = false
  #turnIsDue = false

  constructor(context: Omit<TaskContext, 'progressed'>, sinks: ReadonlyMap<string, RouteSink>, progressed: () => void) {
    this.#membership = context.membership
    const both = () => {
      this.#commitSoon()
      progressed()
    }
    this.tasks = context.membership.partitions.flatMap((at) => {
      const sink = sinks.get(at.topic)
      return sink ? [new PartitionTask({ ...context, progressed: both }, sink, at)] : []
    })
    this.#byKey = new Map(this.tasks.map((task) => [keyOf(task.at), task]))
    const checkpoint = () => this.tasks.forEach((task) => task.handle({ kind: 'checkpoint' }))
    this.#checkpoints = setInterval(checkpoint, CHECKPOINT_EVERY_MS)
    context.membership.ended.addEventListener('abort', () => this.#dispose(), { once: true })
  }

  /** The membership has ended. */
  get over(): boolean {
    return this.#membership.ended.aborted
  }

  /**
   * Takes over: `commits` as read in this generation, `offsets` as the topics are now. A partition that this process carried before
   * and that has no commit any more belongs to another topic of the same name: Kafka forgets commits with their topic.
   */
  begin(commits: readonly Committed[], offsets: readonly PartitionOffsets[], before?: Assignment): void {
    const earlier = before ? before.#byKey : new Map<string, PartitionTask>()
    const topics = new Map(offsets.map((range) => [keyOf(range), range]))
    for (const { offset, metadata, ...at } of commits) {
      const { start = 0, end = 0 } = topics.get(keyOf(at)) ?? {}
      const carried = earlier.get(keyOf(at))?.durable ?? 0
      const task = this.#byKey.get(keyOf(at))
      const again = `the topic was made again: the group was at ${carried}, and now it holds ${start} to ${end - 1}`
      if (offset < 0 && carried > 0) task?.halt('topic-replaced', again)
      else task?.begin({ offset, metadata }, { start, end })
    }
  }

  batch(batch: FetchedBatch): void {
    this.#byKey.get(keyOf(batch))?.enqueue(batch)
  }

  stopped(stop: PartitionStop): void {
    const task = this.#byKey.get(keyOf(stop))
    if (stop.kind !== 'out-of-range') return task?.halt(stop.kind, `offset ${stop.offset}: ${stop.message}`)
    task?.stopAt(stop.offset, lossAt(stop.offset, { intents: [] }, stop)?.[1] ?? '')
  }

  /** Finishes what is named, and commits `clean`. */
  async leave(): Promise<void> {
    await Promise.all(this.tasks.map((task) => task.leave()))
  }

  #dispose(): void {
    clearInterval(this.#checkpoints)
    for (const task of this.tasks) task.dispose()
  }

  /** After everything that happens now: so the commits of several partitions go together. */
  #commitSoon(): void {
    if (this.#turnIsDue || this.#committing) return
    this.#turnIsDue = true
    setImmediate(() => {
      this.#turnIsDue = false
      void this.#commit()
    })
  }

  async #commit(): Promise<void> {
    if (this.#committing || this.over) return
    const turns = this.tasks.map((task) => ({ task, entry: task.turn() })).filter(({ entry }) => entry !== undefined)
    if (turns.length === 0) return
    this.#committing = true
    try {
      await this.#membership.commit(turns.flatMap(({ entry }) => entry ?? []))
    } catch {
      return // the membership has ended by it: everything is read again in the next one
    } finally {
      this.#committing = false
    }
    for (const { task } of turns) task.handle({ kind: 'committed' })
    this.#commitSoon()
  }
}
