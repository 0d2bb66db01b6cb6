/** A request that no retry mends: its status is 4xx, and the sender is told why. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** Events of a request: each takes memory and time of its own, however small it is. */
const EVENTS_MAX = 100_000

/** @throws Refusal */
export function checkCount(events: number): void {
  if (events > EVENTS_MAX) throw new Refusal(413, `more than ${EVENTS_MAX} events: send fewer in a request`)
}
