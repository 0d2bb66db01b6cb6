import type {
  Committed,
  FetchedBatch,
  Membership,
  PartitionOffsets,
  PartitionStop,
  TopicPartition,
} from '../../shared/kafka/index.ts'
import { PartitionTask, type RouteSink, type TaskContext } from './partition-task.ts'

/** What is durable is put into the log at least this often, even when no append needs a commit. */
const CHECKPOINT_EVERY_MS = 5000

const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`

/** All partitions of one membership, and the one commit at a time that they share. */
export class Assignment {
  readonly tasks: readonly PartitionTask[]
  readonly #membership: Membership
  readonly #byKey: ReadonlyMap<string, PartitionTask>
  readonly #checkpoints: NodeJS.Timeout
  /** The membership has ended. */
  over = false
  #committing = false
  #turnIsDue = false

  constructor(context: Omit<TaskContext, 'progressed'>, sinks: ReadonlyMap<string, RouteSink>, progressed: () => void) {
    this.#membership = context.membership
    const own = {
      ...context,
      progressed: () => {
        this.#commitSoon()
        progressed()
      },
    }
    this.tasks = context.membership.partitions.flatMap((at) => {
      const sink = sinks.get(at.topic)
      return sink ? [new PartitionTask(own, sink, at)] : []
    })
    this.#byKey = new Map(this.tasks.map((task) => [keyOf(task.at), task]))
    this.#checkpoints = setInterval(() => this.tasks.forEach((task) => task.checkpoint()), CHECKPOINT_EVERY_MS)
    context.membership.ended.addEventListener('abort', () => this.dispose(), { once: true })
    if (context.membership.ended.aborted) this.dispose()
  }

  /**
   * Reads the commits of this generation and takes over.
   * @param offsets what the topics hold
   * @param formerly the commits of the group that the installation had before its mode was changed
   */
  async begin(offsets: readonly PartitionOffsets[], formerly: readonly Committed[]): Promise<void> {
    const topics = new Map(offsets.map((range) => [keyOf(range), range]))
    const former = new Map(formerly.map((commit) => [keyOf(commit), commit]))
    for (const own of await this.#membership.readCommits()) {
      const { offset, metadata } = own.offset < 0 ? (former.get(keyOf(own)) ?? own) : own
      const { start = 0, end = 0 } = topics.get(keyOf(own)) ?? {}
      this.#byKey.get(keyOf(own))?.begin({ offset, metadata }, { start, end })
    }
  }

  batch(batch: FetchedBatch): void {
    this.#byKey.get(keyOf(batch))?.enqueue(batch)
  }

  stopped(stop: PartitionStop): void {
    const task = this.#byKey.get(keyOf(stop))
    if (stop.kind !== 'out-of-range') return task?.halt(stop.kind, `offset ${stop.offset}: ${stop.message}`)
    const { offset, start, end } = stop
    const lost =
      offset < start ? `offsets ${offset} to ${start - 1} are no longer in the topic` : `the topic ends at ${end}`
    task?.halt('out-of-range', lost)
  }

  /** Finishes what is named, and commits `clean`. */
  async leave(): Promise<void> {
    await Promise.all(this.tasks.map((task) => task.leave()))
  }

  dispose(): void {
    this.over = true
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
    if (this.#committing || this.#membership.ended.aborted) return
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
    for (const { task } of turns) task.committed()
    this.#commitSoon()
  }
}
