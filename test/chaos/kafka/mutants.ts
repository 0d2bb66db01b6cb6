// Loaded into a worker before the command, by --import: plants the defect that CHAOS_MUTANT names.
import type { Effect, Event } from '../../../shared/warehouse/protocol/events.ts'
import { decodeLog } from '../../../shared/warehouse/protocol/log.ts'
import { Owner } from '../../../shared/warehouse/protocol/owner.ts'

/** The core is untouched; what it is told at a take-over is not true. `named`: the rows of its stream if all intents had landed. */
const MUTANTS: Readonly<Record<string, (event: Event, named: number) => Event>> = {
  /** Loses: every intent counts as landed. */
  'all-landed': (event, named) => (event.kind === 'counted' ? { kind: 'counted', rows: named } : event),
  /** Doubles: no intent does. */
  'none-landed': (event) => {
    if (event.kind === 'counted') return { kind: 'gone' }
    return event.kind === 'asked' ? { kind: 'asked', highest: null } : event
  },
}

const mutate = MUTANTS[process.env['CHAOS_MUTANT'] ?? '']
if (!mutate) throw new Error(`CHAOS_MUTANT is one of ${Object.keys(MUTANTS).join(', ')}`)
const { handle } = Owner.prototype
const namedRows = new WeakMap<Owner, number>()

Owner.prototype.handle = function (event) {
  if (event.kind === 'read') note(this, event.metadata)
  const effects: Effect[] = handle.call(this, mutate(event, namedRows.get(this) ?? 0))
  for (const effect of effects) if (effect.kind === 'commit') note(this, effect.metadata)
  return effects
}

function note(owner: Owner, metadata: string): void {
  const decoded = decodeLog(metadata)
  if (decoded.kind !== 'log') return
  const { offset, intents } = decoded.log
  namedRows.set(owner, offset + intents.reduce((sum, [, rows]) => sum + rows, 0))
}
