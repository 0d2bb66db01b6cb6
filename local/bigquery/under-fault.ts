import type { Clock, Fault } from '../faults/index.ts'

/** What the caller of a method gets: its answer, an error that was asked for, a lost connection, or nothing at all. */
export type Outcome<T> =
  | { kind: 'answer'; answer: T }
  | { kind: 'fault'; fault: Extract<Fault, { kind: 'error' }> }
  | { kind: 'drop' }
  | { kind: 'silence' }

/** What every method of the stand-in passes through. */
export interface Surroundings {
  clock: Clock
  /** Notes the call and asks what is to go wrong with it. */
  strike(method: string, resource: string, entry: string): Fault | undefined
}

/**
 * Runs `effect` with the fault, if there is one, where it belongs. What `effect` throws is thrown on. Kinds that are
 * about something else than the call (`deny-new-streams`, ...) are left to the method.
 */
export async function underFault<T>(
  fault: Fault | undefined,
  clock: Clock,
  effect: () => T | Promise<T>,
): Promise<Outcome<T>> {
  switch (fault?.kind) {
    case 'error':
      if (fault.when === 'after') await effect()
      return { kind: 'fault', fault }
    case 'delay':
      await clock.sleep(fault.ms)
      return { kind: 'answer', answer: await effect() }
    case 'drop':
      if (fault.when === 'after') await effect()
      return { kind: 'drop' }
    case 'hang':
      if (fault.landAfterMs !== undefined) clock.after(fault.landAfterMs, () => void land(effect))
      return { kind: 'silence' }
    default:
      return { kind: 'answer', answer: await effect() }
  }
}

/** An effect without anybody who waits for it: its failure is nobody's. */
async function land(effect: () => unknown): Promise<void> {
  try {
    await effect()
  } catch {
    // The client gave up long ago; what the method would have answered is lost, as it would be.
  }
}
