import { randomInt } from 'node:crypto'
import type { Faults, Recorder } from '../../faults/index.ts'
import { attempt, post } from '../../push/index.ts'
import type { Change, Delivery, StoredObject } from '../model.ts'
import type { Store } from '../store.ts'
import { pushOf } from './event.ts'
import { backoffMs, DELIVERY_DEFAULTS, type DeliveryOptions, type DeliveryTarget, targetName } from './target.ts'

export { DELIVERY_DEFAULTS, type DeliveryOptions, type DeliveryTarget } from './target.ts'

/** Statuses that a Pub/Sub push takes as an acknowledgement: https://cloud.google.com/pubsub/docs/push#receive_push */
const ACKNOWLEDGED = new Set([102, 200, 201, 202, 204])

/** The durable queue of finalized objects, and what carries it to functions, at least once and in no order. */
export interface Deliveries {
  /** The changes that queue `object` for every target that wants it; to be committed with the object. */
  announce(object: StoredObject): Change[]
  /** Looks for work: to be called after a commit with announcements. */
  wake(): void
  /** Replaces the targets. What waits for one that is gone stays until one of the same name comes. */
  setTargets(targets: readonly DeliveryTarget[]): void
  targets(): readonly DeliveryTarget[]
  /** What is queued or under way, oldest first, without dead letters. */
  pending(): readonly Delivery[]
  /** What was given up, oldest first. */
  deadLetters(): readonly Delivery[]
  /** Queues the dead letters again, with all attempts before them. */
  redeliver(): Promise<void>
  /** Ends what is under way; what is queued stays for the next start. */
  close(): Promise<void>
}

export interface DeliveriesSetup {
  store: Store
  faults: Faults
  recorder: Recorder
  targets: readonly DeliveryTarget[]
  options?: DeliveryOptions
  /** Of the storage, for links in the events. */
  endpoint: () => string
}

export function createDeliveries({ store, faults, recorder, targets, options, endpoint }: DeliveriesSetup): Deliveries {
  const limits = { ...DELIVERY_DEFAULTS, ...options }
  const stop = new AbortController()
  const running = new Map<string, Promise<void>>()
  const runningTo = new Map<string, number>()
  const resting = new Set<string>()
  let current = targets

  function announce(object: StoredObject): Change[] {
    const wanted = current.filter(
      ({ bucket, prefix = '' }) => bucket === object.bucket && object.name.startsWith(prefix),
    )
    return wanted.map((target) => {
      const id = `${Math.floor(store.clock.now())}${String(randomInt(1_000_000)).padStart(6, '0')}`
      const delivery = { id, target: targetName(target), object, createdMs: store.clock.now(), attempts: 0 }
      return { op: 'delivery', delivery }
    })
  }

  function wake(): void {
    if (stop.signal.aborted || store.state.deliveries.size === running.size) return
    const byName = new Map(current.map((target) => [targetName(target), target]))
    for (const delivery of store.state.deliveries.values()) {
      const { id, target: name, deadMs } = delivery
      const target = byName.get(name)
      if (!target || deadMs !== undefined || running.has(id) || resting.has(id)) continue
      const busy = runningTo.get(name) ?? 0
      if (busy >= limits.inFlightMax) continue
      runningTo.set(name, busy + 1)
      running.set(id, run(target, delivery))
    }
  }

  /** One attempt and what follows from it. */
  async function run(target: DeliveryTarget, delivery: Delivery): Promise<void> {
    const { id, target: name } = delivery
    try {
      const failure = await tryOnce(target, delivery)
      if (stop.signal.aborted) return
      await (failure === undefined ? store.commit({ op: 'delivery-gone', id }) : failed(delivery, failure))
    } catch {
      rest(id, limits.backoffMsMax) // the disk took nothing: the delivery is still queued, and will be made again
    } finally {
      running.delete(id)
      runningTo.set(name, (runningTo.get(name) ?? 1) - 1)
      wake()
    }
  }

  async function tryOnce(target: DeliveryTarget, delivery: Delivery): Promise<string | undefined> {
    const { bucket, name } = delivery.object
    const call = {
      service: 'delivery',
      method: target.form,
      resource: `${bucket}/${name}`,
      entry: delivery.target,
    } as const
    recorder.record(call)
    const push = pushOf(target, delivery, endpoint())
    const send = () => post(target.url, { ...push, timeoutMs: limits.timeoutMs, signal: stop.signal })
    return attempt({
      send,
      isTaken: (status) => ACKNOWLEDGED.has(status),
      fault: faults.next(call),
      clock: store.clock,
    })
  }

  async function failed(delivery: Delivery, lastError: string): Promise<void> {
    const attempts = delivery.attempts + 1
    const dead = attempts >= limits.attemptsMax ? { deadMs: store.clock.now() } : {}
    if (attempts < limits.attemptsMax) rest(delivery.id, backoffMs(attempts, limits))
    await store.commit({ op: 'delivery', delivery: { ...delivery, attempts, lastError, ...dead } })
  }

  function rest(id: string, ms: number): void {
    resting.add(id)
    store.clock.after(ms, () => {
      resting.delete(id)
      wake()
    })
  }

  const all = () => [...store.state.deliveries.values()]

  return {
    announce,
    wake,
    setTargets(next) {
      current = next
      wake()
    },
    targets: () => current,
    pending: () => all().filter(({ deadMs }) => deadMs === undefined),
    deadLetters: () => all().filter(({ deadMs }) => deadMs !== undefined),
    async redeliver() {
      const dead = all().filter(({ deadMs }) => deadMs !== undefined)
      const fresh = dead.map(
        ({ deadMs: _, ...delivery }) => ({ op: 'delivery', delivery: { ...delivery, attempts: 0 } }) as const,
      )
      await store.commit(...fresh)
      wake()
    },
    async close() {
      stop.abort()
      await Promise.all(running.values())
    },
  }
}
