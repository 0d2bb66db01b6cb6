// Loaded into an agent before the command, by --import: plants the defect that CHAOS_MUTANT names.
import { PartitionLedger } from '../../../agent/publish/ledger.ts'
import { Session } from '../../../agent/publish/session.ts'

/** Of so many transactions one is without its events; so many are without positions before one is whole. A life may be short. */
const LOST_EVERY = 3
const WHOLE_EVERY = 10
let turn = 0
/** Had a session no commit for a partition, the next would miss its positions and refuse to start, as it should. */
const begun = new WeakSet<PartitionLedger>()

/** What a transaction carries together comes apart (DESIGN section 5). */
const MUTANTS: Readonly<Record<string, () => void>> = {
  /** Loses: positions without their events. */
  'positions-alone': () => {
    const { transact } = Session.prototype
    Session.prototype.transact = function (batches) {
      return transact.call(this, ++turn % LOST_EVERY === 0 ? [] : batches)
    }
  },
  /** Doubles: events without their positions, which ride with the tenth transaction after them. */
  'events-alone': () => {
    const { takeChanged } = PartitionLedger.prototype
    PartitionLedger.prototype.takeChanged = function () {
      if (begun.has(this) && ++turn % WHOLE_EVERY !== 0) return []
      begun.add(this)
      return takeChanged.call(this)
    }
  },
}

const plant = MUTANTS[process.env['CHAOS_MUTANT'] ?? '']
if (!plant) throw new Error(`CHAOS_MUTANT is one of ${Object.keys(MUTANTS).join(', ')}`)
plant()
