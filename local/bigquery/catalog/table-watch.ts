import type { Clock } from '../../clock/index.ts'
import type { TableField } from '../types.ts'
import type { Table } from './state.ts'

/**
 * What the service does for a while after a table was made or changed, when a fault asks for it: it denies new streams,
 * and appends do not see new columns yet. In memory: a restart ends it.
 */
export class TableWatch {
  readonly #clock: Clock
  readonly #deniedUntilMs = new Map<string, number>()
  readonly #formerFields = new Map<string, { fields: readonly TableField[]; untilMs: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  denyStreams(uid: string, forMs: number): void {
    this.#deniedUntilMs.set(uid, this.#clock.now() + forMs)
  }

  deniesStreams(uid: string): boolean {
    const untilMs = this.#deniedUntilMs.get(uid)
    if (untilMs === undefined) return false
    if (this.#clock.now() < untilMs) return true
    this.#deniedUntilMs.delete(uid)
    return false
  }

  /** Appends go on to see these fields. */
  holdFields(uid: string, former: readonly TableField[], forMs: number): void {
    const held = this.#held(uid)
    this.#formerFields.set(uid, { fields: held ?? former, untilMs: this.#clock.now() + forMs })
  }

  /** The fields that appends are checked against. The same array as long as nothing changes. */
  appendFields(table: Table): readonly TableField[] {
    return this.#held(table.uid) ?? table.body.schema?.fields ?? NO_FIELDS
  }

  #held(uid: string): readonly TableField[] | undefined {
    const held = this.#formerFields.get(uid)
    if (held === undefined) return undefined
    if (this.#clock.now() < held.untilMs) return held.fields
    this.#formerFields.delete(uid)
    return undefined
  }
}

const NO_FIELDS: readonly TableField[] = []
