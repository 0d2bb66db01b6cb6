/** Where the finalized objects of a bucket go. */
export interface DeliveryTarget {
  bucket: string
  url: string
  /** As Eventarc sends it, or as a Pub/Sub push subscription does. */
  form: 'eventarc' | 'pubsub'
  /**
   * What the queue knows the target by, so that its URL can change while deliveries wait. Default `<bucket>/<form>`:
   * to be given when two targets share both.
   */
  name?: string
  /** Only objects whose name begins so; default all. */
  prefix?: string
}

export interface DeliveryOptions {
  /** The first wait before a delivery is tried again, doubled each time. Default 1 s (the real service: 10 s). */
  backoffMsMin?: number
  /** The longest wait. Default 30 s (the real service: 600 s). */
  backoffMsMax?: number
  /** A target that has not answered by then is tried again. Default 600 s, the push limit of Pub/Sub. */
  timeoutMs?: number
  /** After so many attempts a delivery becomes a dead letter. Default 100. */
  attemptsMax?: number
  /** Deliveries under way to one target at a time. Default 8. */
  inFlightMax?: number
}

export const DELIVERY_DEFAULTS: Required<DeliveryOptions> = {
  backoffMsMin: 1_000,
  backoffMsMax: 30_000,
  timeoutMs: 600_000,
  attemptsMax: 100,
  inFlightMax: 8,
}

export function targetName({ name, bucket, form }: DeliveryTarget): string {
  return name ?? `${bucket}/${form}`
}

/** How long to wait after `attempts` failed ones, in milliseconds. */
export function backoffMs(attempts: number, { backoffMsMin, backoffMsMax }: Required<DeliveryOptions>): number {
  return Math.min(backoffMsMax, backoffMsMin * 2 ** Math.min(attempts - 1, 30))
}
