import type { Clock } from '../../clock/index.ts'
import { type Fault, statusOf } from '../../faults/index.ts'
import type { Posted } from './post.ts'

/** Sends once. */
type Send = () => Promise<Posted>

/** Statuses that a Pub/Sub push takes as an acknowledgement: https://cloud.google.com/pubsub/docs/push#receive_push */
const ACKNOWLEDGED = new Set([102, 200, 201, 202, 204])

/** One attempt under a fault: why it failed, or undefined when the target took the event and the queue knows. */
export async function attempt(send: Send, fault: Fault | undefined, clock: Clock): Promise<string | undefined> {
  if (!fault) return verdict(await send())
  switch (fault.kind) {
    case 'error':
      if (fault.when === 'after') await send()
      return `fault: ${fault.message ?? fault.code} (${statusOf(fault)})`
    case 'drop':
      if (fault.when === 'after') await send()
      return `fault: connection lost ${fault.when} the effect`
    case 'delay':
      await clock.sleep(fault.ms)
      return verdict(await send())
    case 'hang':
      if (fault.landAfterMs !== undefined) clock.after(fault.landAfterMs, () => void send())
      return 'fault: no answer'
    case 'duplicate':
      return duplicated(send, fault.times ?? 1)
    default:
      return `fault: ${fault.kind} is nothing for a delivery`
  }
}

async function duplicated(send: Send, times: number): Promise<string | undefined> {
  const answers = await Promise.all(Array.from({ length: times + 1 }, send))
  return answers.map(verdict).find((failure) => failure !== undefined)
}

function verdict(posted: Posted): string | undefined {
  if ('failure' in posted) return posted.failure
  return ACKNOWLEDGED.has(posted.status) ? undefined : `answered ${posted.status}`
}
