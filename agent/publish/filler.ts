import type { AgentConfig } from '../../shared/config/index.ts'
import { messageOf } from '../../shared/errors.ts'
import { Events } from '../../shared/framing/index.ts'
import { type Followed, type Follower, Scratch, type Workspace } from '../follow/index.ts'
import type { Filling, Pending } from './filling.ts'
import type { TopicLimits } from './lane-limits.ts'
import type { Place, Session } from './session.ts'

/** What the filler asks of others. */
export interface FillerOptions {
  readonly agent: Pick<AgentConfig, 'poll_interval'>
  readonly topicOf: (route: string) => string | undefined
  /** The rest of this source goes by its chunk: it has been finished for too long. */
  readonly leaves: (followed: Followed) => boolean
  readonly report: (about: string, message: string) => void
}

/** Between two looks, while there is still something to read; in milliseconds. */
const LOOK_EVERY_MS = 250

/** Reads what there is into batches. */
export class Filler {
  readonly limits: TopicLimits
  readonly #follower: Follower
  readonly #options: FillerOptions
  readonly #workspace: Workspace = { scratch: new Scratch(), events: new Events() }
  /** Sources about which something is decided: they are read no further. */
  readonly frozen = new Set<string>()
  #turn = 0
  #lookedAtMs = 0

  constructor(follower: Follower, limits: TopicLimits, options: FillerOptions) {
    this.#follower = follower
    this.limits = limits
    this.#options = options
  }

  /** Has the next `fill` look, however short ago the last look was. */
  lookSoon(): void {
    this.#lookedAtMs = 0
  }

  #placeOf({ source, log }: Followed, session: Session): Place | undefined {
    const topic = this.#options.topicOf(log.route)
    return topic === undefined ? undefined : session.place(topic, source.id)
  }

  /** Passes all events of these topics that are there now, without publishing them, but for sources that Kafka knows. */
  async skip(session: Session, topics: ReadonlySet<string>): Promise<{ followed: Followed; place: Place }[]> {
    const skipped: { followed: Followed; place: Place }[] = []
    if (topics.size === 0) return skipped
    for (const followed of this.#follower.sources.values()) {
      const { source } = followed
      const place = this.#placeOf(followed, session)
      if (!place || !topics.has(place.topic) || place.ledger.get(source.id)) continue
      for (;;) {
        const reading = await this.#read(followed, Infinity, Infinity, false)
        if (reading.kind === 'piece') source.accept(reading, reading.events.count)
        else if (reading.kind !== 'passed') break
      }
      skipped.push({ followed, place })
    }
    return skipped
  }

  /**
   * Looks when that is due, takes over the decisions, and reads what there is, rotation by rotation, each time beginning with
   * another one, until the batch is full.
   */
  async fill(filling: Filling, session: Session, decisions: Pending[]): Promise<void> {
    if (filling.batch.full) return
    if (Date.now() - this.#lookedAtMs >= LOOK_EVERY_MS) {
      await this.#follower.glance(this.#options.agent.poll_interval)
      this.#lookedAtMs = Date.now()
    }
    if (filling.isEmpty) filling.sinceMs = performance.now()
    for (const decision of decisions.splice(0)) {
      filling.decisions.push(decision)
      this.frozen.add(decision.source)
    }
    // The sizes are taken before anything is read: what is in a newer file by now was written after all that an older one held.
    const nowMs = Date.now()
    const rotations = this.#follower
      .rotations()
      .filter((rotation) => rotation.some((followed) => this.#follower.isDue(followed, nowMs)))
      .map((rotation) => rotation.map((followed) => ({ followed, limit: limitOf(followed) })))
    this.#turn++
    for (let i = 0; i < rotations.length; i++) {
      for (const { followed, limit } of rotations[(i + this.#turn) % rotations.length]!) {
        if (!(await this.#drain(filling, session, followed, limit))) break
      }
    }
  }

  /** Reads one source; false: those after it must wait, because it has more. */
  async #drain(filling: Filling, session: Session, followed: Followed, limit: number): Promise<boolean> {
    const { source, file, log } = followed
    if (this.frozen.has(source.id) || source.file !== file) return false
    const place = this.#placeOf(followed, session)
    if (!place || this.#options.leaves(followed)) return true
    if (source.finished && !source.hasMore) return true
    const final = this.#follower.isFinishable(followed, Date.now())
    const lane = filling.batch.lane(place.topic, place.partition, this.limits.of(place.topic))
    for (;;) {
      if (!lane || lane.full) return false
      const room = Math.min(lane.room, log.rate?.room(Date.now()) ?? Infinity)
      if (room === 0) return false
      const reading = await this.#read(followed, final ? Infinity : limit, room, final)
      if (reading.kind === 'passed') return file.newest
      if (reading.kind === 'lost') {
        this.#follower.lose(followed)
        this.lookSoon()
        return false
      }
      if (reading.kind === 'drained') {
        source.finished = final && reading.atEnd
        if (source.finished && place.ledger.get(source.id)?.size !== source.progress.position) {
          filling.updates.set(source.id, { followed, place, finished: true })
        }
        return file.newest || !reading.waits
      }
      const taken = lane.append(source.id, reading, filling.batch.keys, Date.now())
      const before = source.progress.position
      source.accept(reading, taken)
      log.rate?.take(source.progress.position - before)
      if (taken > 0) filling.updates.set(source.id, { followed, place, finished: false })
    }
  }

  /** A file that cannot be read does not stop the others. */
  async #read({ source, file }: Followed, limit: number, room: number, final: boolean) {
    try {
      return await source.read(this.#workspace, limit, room, final)
    } catch (error) {
      source.isCut = file.encoding !== 'plain'
      this.#options.report(source.id, `${file.seen.path} cannot be read on behind ${source.next}: ${messageOf(error)}`)
      return { kind: 'drained', atEnd: false, waits: false } as const
    }
  }
}

/** The newest file is read up to the size of the last look, any other to its end. */
function limitOf({ file }: Followed): number {
  return file.newest && file.encoding === 'plain' ? file.seen.size : Infinity
}
