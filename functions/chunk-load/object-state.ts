import { randomUUID } from 'node:crypto'
import {
  type ChunkState,
  encodeState,
  objectId,
  type ObjectView,
  STATE_KEY,
  stateOf,
} from '../../shared/chunks/index.ts'
import type { Environment } from './environment.ts'

/** Cloud Storage takes one update of an object's metadata a second. */
const UPDATE_INTERVAL_MS = 1_000
/** A claim is renewed in this part of its time. */
const RENEW_PART = 1 / 3

/** The state of one object, changed only from the reading that it was decided on. */
export class ObjectState {
  /** Names this invocation's claim. */
  readonly token = randomUUID()
  /** As of the last reading or change. */
  object: ObjectView
  state: ChunkState
  readonly #environment: Environment
  #updatedMs = 0
  #renewedMs = 0

  constructor(environment: Environment, object: ObjectView) {
    this.#environment = environment
    this.object = object
    this.state = stateOf(environment.bucket.name, object)
  }

  /** False: the object is gone, or was written anew. */
  async read(): Promise<boolean> {
    const { bucket } = this.#environment
    const object = await bucket.stat(this.object.name)
    if (object?.generation !== this.object.generation) return false
    this.object = object
    this.state = stateOf(bucket.name, object)
    return true
  }

  /**
   * Changes the state; false when it was not as last read any more: read again. An unknown answer is thrown: the change
   * may have been made.
   */
  async change(state: ChunkState): Promise<boolean> {
    const { bucket, clock } = this.#environment
    await clock.pause(Math.max(0, this.#updatedMs + UPDATE_INTERVAL_MS - clock.nowMs()))
    const text = encodeState(objectId(bucket.name, this.object), state)
    const answer = await bucket.patch(this.object, { [STATE_KEY]: text })
    if (answer.kind === 'changed') return false
    this.#updatedMs = clock.nowMs()
    this.object = answer.object
    this.state = state
    return true
  }

  /** For as long as `chunk_claim` says, without renewal: longer than any one step. */
  claim(): Promise<boolean> {
    const { clock, config } = this.#environment
    this.#renewedMs = clock.nowMs()
    return this.change({ state: 'writing', token: this.token, until: this.#renewedMs + config.chunk_claim })
  }

  /** To be called now and then while rows are written; false: somebody else changed the object, and our streams are never committed. */
  async keepClaim(): Promise<boolean> {
    const { clock, config } = this.#environment
    return clock.nowMs() - this.#renewedMs < config.chunk_claim * RENEW_PART || this.claim()
  }
}
