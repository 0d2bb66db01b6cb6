import { randomInt } from 'node:crypto'
import type { Log } from '../../../shared/telemetry/index.ts'
import type { Faults, Recorder } from '../../faults/index.ts'
import { attempt, post } from '../../push/index.ts'
import type { Change, Delivery, StoredObject } from '../model.ts'
import type { Store } from '../store.ts'
import { pushOf } from './event.ts'
import { backoffMs, DELIVERY_DEFAULTS, type DeliveryOptions, type DeliveryTarget, targetName } from './target.ts'

export type { DeliveryOptions, DeliveryTarget } from './target.ts'

function whereOf({ object, target }: Delivery): { object: string; target: string } {
  return { object: `gs://${object.bucket}/${object.name}`, target }
}

/** Statuses that a Pub/Sub push takes as an acknowledgement: https://cloud.google.com/pubsub/docs/push#receive_push */
const ACKNOWLEDGED = new Set([102, 200, 201, 202, 204])

export interface DeliveriesSetup {
  store: Store
  faults: Faults
  recorder: Recorder
  targets: readonly DeliveryTarget[]
  options?: DeliveryOptions
  /** Of the storage, for links in the events. */
  endpoint: () => string
  /** Told of what is given up: nobody else would notice. */
  log: Log
}

/** The durable queue of finalized objects, and what carries them to functions, at least once and in no order. */
export class Deliveries {
  readonly #setup: DeliveriesSetup
  readonly #limits: Required<DeliveryOptions>
  readonly #stop = new AbortController()
  /** Under way, by delivery. */
  readonly #running = new Map<string, Promise<void>>()
  /** How many are under way to each target. */
  readonly #busy = new Map<string, number>()
  /** Waiting for their next attempt. */
  readonly #resting = new Set<string>()
  #targets: readonly DeliveryTarget[]

  constructor(setup: DeliveriesSetup) {
    this.#setup = setup
    this.#limits = { ...DELIVERY_DEFAULTS, ...setup.options }
    this.#targets = setup.targets
  }

  /** The changes that queue `object` for every target that wants it; to be committed with the object. */
  announce(object: StoredObject): Change[] {
    const createdMs = this.#setup.store.clock.now()
    return this.#targets
      .filter(({ bucket, prefix = '' }) => bucket === object.bucket && object.name.startsWith(prefix))
      .map((target) => {
        const id = `${createdMs}${String(randomInt(1_000_000)).padStart(6, '0')}`
        return { op: 'delivery', delivery: { id, target: targetName(target), object, createdMs, attempts: 0 } }
      })
  }

  /** Looks for work: to be called after a commit with announcements. */
  wake(): void {
    const { deliveries } = this.#setup.store.state
    if (this.#stop.signal.aborted || deliveries.size === this.#running.size) return
    const byName = new Map(this.#targets.map((target) => [targetName(target), target]))
    for (const delivery of deliveries.values()) {
      const { id, target: name, deadMs } = delivery
      const target = byName.get(name)
      if (!target || deadMs !== undefined || this.#running.has(id) || this.#resting.has(id)) continue
      if ((this.#busy.get(name) ?? 0) >= this.#limits.inFlightMax) continue
      this.#count(name, 1)
      this.#running.set(id, this.#run(target, delivery))
    }
  }

  /** Replaces the targets. What waits for one that is gone stays until one of the same name comes. */
  setTargets(targets: readonly DeliveryTarget[]): void {
    this.#targets = targets
    this.wake()
  }

  targets(): readonly DeliveryTarget[] {
    return this.#targets
  }

  /** What is queued or under way, oldest first, without dead letters. */
  pending(): readonly Delivery[] {
    return [...this.#setup.store.state.deliveries.values()].filter(({ deadMs }) => deadMs === undefined)
  }

  /** What was given up, oldest first. */
  deadLetters(): readonly Delivery[] {
    return [...this.#setup.store.state.deliveries.values()].filter(({ deadMs }) => deadMs !== undefined)
  }

  /** Queues the dead letters again, with all attempts before them. */
  async redeliver(): Promise<void> {
    const fresh = this.deadLetters().map(({ deadMs: _, ...delivery }) => ({ ...delivery, attempts: 0 }))
    await this.#setup.store.commit(...fresh.map((delivery) => ({ op: 'delivery', delivery }) as const))
    this.wake()
  }

  /** Ends what is under way; what is queued stays for the next start. */
  async close(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#running.values())
  }

  /** One attempt and what follows from it. */
  async #run(target: DeliveryTarget, delivery: Delivery): Promise<void> {
    const { id, target: name } = delivery
    const { store } = this.#setup
    try {
      const failure = await this.#tryOnce(target, delivery)
      // A delivery that a full disk took back is no longer known, and must not come back.
      if (this.#stop.signal.aborted || !store.state.deliveries.has(id)) return
      await (failure === undefined ? store.commit({ op: 'delivery-gone', id }) : this.#failed(delivery, failure))
    } catch {
      this.#rest(id, this.#limits.backoffMsMax) // the disk took nothing: it is still queued, and will be made again
    } finally {
      this.#running.delete(id)
      this.#count(name, -1)
      this.wake()
    }
  }

  #tryOnce(target: DeliveryTarget, delivery: Delivery): Promise<string | undefined> {
    const { faults, recorder, store, endpoint } = this.#setup
    const { bucket, name } = delivery.object
    const call = {
      service: 'delivery',
      method: target.form,
      resource: `${bucket}/${name}`,
      entry: delivery.target,
    } as const
    recorder.record(call)
    const push = pushOf(target, delivery, endpoint())
    const { timeoutMs } = this.#limits
    const send = () => post(target.url, { ...push, timeoutMs, signal: this.#stop.signal })
    const isTaken = (status: number) => ACKNOWLEDGED.has(status)
    return attempt({ send, isTaken, fault: faults.next(call), clock: store.clock })
  }

  async #failed(delivery: Delivery, lastError: string): Promise<void> {
    const { store } = this.#setup
    const attempts = delivery.attempts + 1
    const isDead = attempts >= this.#limits.attemptsMax
    if (!isDead) this.#rest(delivery.id, backoffMs(attempts, this.#limits))
    const dead = isDead ? { deadMs: store.clock.now() } : {}
    if (isDead) this.#setup.log.error({ attempts, lastError, ...whereOf(delivery) }, 'a delivery is given up')
    await store.commit({ op: 'delivery', delivery: { ...delivery, attempts, lastError, ...dead } })
  }

  #rest(id: string, ms: number): void {
    this.#resting.add(id)
    this.#setup.store.clock.after(ms, () => {
      this.#resting.delete(id)
      this.wake()
    })
  }

  #count(name: string, by: 1 | -1): void {
    this.#busy.set(name, (this.#busy.get(name) ?? 0) + by)
  }
}
