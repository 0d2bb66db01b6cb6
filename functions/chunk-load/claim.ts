import {
  type Bucket,
  type ChunkState,
  decodeState,
  encodeState,
  type ObjectId,
  type ObjectView,
  STATE_KEY,
} from '../../shared/chunks/index.ts'

/** Cloud Storage takes one update of an object's metadata a second. */
const UPDATE_INTERVAL_MS = 1_000
/** A claim is renewed in this part of its time. */
const RENEW_PART = 1 / 3

/** The time, as an invocation sees it. */
export interface Clock {
  nowMs(): number
  pause(ms: number): Promise<void>
}

/** Somebody else changed the object: what we hold is no longer ours, and our streams are never committed. */
export class ClaimLost extends Error {
  override readonly name = 'ClaimLost'
}

/** The state of one object, changed only from the reading that it was decided on. */
export class ObjectState {
  /** As of the last reading or change. */
  object: ObjectView
  state: ChunkState
  readonly #bucket: Bucket
  readonly #id: ObjectId
  readonly #clock: Clock
  readonly #claimMs: number
  #updatedMs = 0
  #renewedMs = 0

  /** @param claimMs how long a claim holds without renewal: longer than any one step */
  constructor(bucket: Bucket, object: ObjectView, clock: Clock, claimMs: number) {
    this.#bucket = bucket
    this.#clock = clock
    this.#claimMs = claimMs
    this.#id = `${bucket.name}/${object.name}#${object.generation}`
    this.object = object
    this.state = decodeState(this.#id, object.metadata[STATE_KEY])
  }

  /** False: the object is gone, or was written anew. */
  async read(): Promise<boolean> {
    const { name, generation } = this.object
    const object = await this.#bucket.stat(name)
    if (object?.generation !== generation) return false
    this.object = object
    this.state = decodeState(this.#id, object.metadata[STATE_KEY])
    return true
  }

  /**
   * Changes the state; false when it was not as last read any more: read again. An unknown answer is thrown: the change
   * may have been made.
   */
  async change(state: ChunkState): Promise<boolean> {
    await this.#clock.pause(Math.max(0, this.#updatedMs + UPDATE_INTERVAL_MS - this.#clock.nowMs()))
    const answer = await this.#bucket.patch(this.object, { [STATE_KEY]: encodeState(this.#id, state) })
    if (answer.kind === 'changed') return false
    this.#updatedMs = this.#clock.nowMs()
    this.object = answer.object
    this.state = state
    return true
  }

  claim(token: string): Promise<boolean> {
    this.#renewedMs = this.#clock.nowMs()
    return this.change({ state: 'writing', token, until: this.#renewedMs + this.#claimMs })
  }

  /** To be called now and then while rows are written. @throws ClaimLost */
  async renewWhenDue(token: string): Promise<void> {
    if (this.#clock.nowMs() - this.#renewedMs < this.#claimMs * RENEW_PART) return
    if (!(await this.claim(token))) throw new ClaimLost('the claim was replaced while rows were written')
  }
}
