import type { Clock } from '../clock/index.ts'
import { type Fault, statusOf } from '../faults/index.ts'
import type { Posted } from './post.ts'

/** One request to a target, and when it counts as taken. */
export interface Attempt {
  send: () => Promise<Posted>
  /** Whether an answer with this status is an acknowledgement. */
  isTaken: (status: number) => boolean
  fault: Fault | undefined
  clock: Clock
}

/** Makes one attempt, under its fault. Why it failed, or undefined: the target took it, and the sender knows. */
export async function attempt({ send, isTaken, fault, clock }: Attempt): Promise<string | undefined> {
  const verdict = (posted: Posted) =>
    'failure' in posted ? posted.failure : isTaken(posted.status) ? undefined : `answered ${posted.status}`
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
    case 'duplicate': {
      const answers = await Promise.all(Array.from({ length: 1 + (fault.times ?? 1) }, send))
      return answers.map(verdict).find((failure) => failure !== undefined)
    }
    default:
      return `fault: ${fault.kind} is nothing for a push`
  }
}
