import type { FaultRule, RuleState } from '../../../local/faults/index.ts'
import { tally } from './plan.ts'

/** `AppendRows error UNAVAILABLE after`: without its numbers. */
export function nameOfRule({ service, method, resource, fault }: FaultRule): string {
  const letters = resource?.includes('dead_letters') ? 'of letters' : undefined
  return [method ?? service, letters, fault.kind, ...detailsOf(fault)].filter((part) => part !== undefined).join(' ')
}

function detailsOf(fault: FaultRule['fault']): (string | undefined)[] {
  switch (fault.kind) {
    case 'error':
      return [fault.storageError ?? fault.code, fault.when]
    case 'drop':
      return [fault.when]
    case 'hang':
      return [fault.landAfterMs === undefined ? undefined : 'landing']
    case 'cut':
      return [fault.then]
    default:
      return []
  }
}

/** Which rules of a plan met a call, by name. */
export function whatStruck(states: readonly RuleState[]): string {
  const names = states.flatMap(({ rule, struck }) => Array.from({ length: struck }, () => nameOfRule(rule)))
  return `${names.length} calls failed: ${tally(names)}`
}
