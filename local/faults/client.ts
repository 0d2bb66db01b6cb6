import type { Call, FaultRule } from './fault.ts'
import type { RuleState } from './faults.ts'
import type { Tally } from './recorder.ts'

/** The faults endpoint of a running embedded cloud, typed, for tests in other processes. */
export interface FaultsClient {
  /** Replaces the plan. Rejects with the endpoint's own words when a rule is malformed. */
  set(rules: readonly FaultRule[]): Promise<readonly RuleState[]>
  add(...rules: FaultRule[]): Promise<readonly RuleState[]>
  clear(): Promise<void>
  plan(): Promise<readonly RuleState[]>
  /** Moves the time of the stand-ins forward; the new time in milliseconds since 1970. */
  advance(ms: number): Promise<number>
  now(): Promise<number>
  calls(): Promise<{ calls: readonly Call[]; tallies: readonly Tally[] }>
  clearCalls(): Promise<void>
}

/** A client for `endpoint`, as `startFaultsServer` or `millrace local --json` names it. */
export function faultsClient(endpoint: string): FaultsClient {
  async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(endpoint + path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const answer = (await response.json()) as T & { error?: string }
    if (!response.ok) throw new Error(`${method} ${path}: ${answer.error}`)
    return answer
  }
  interface Plan {
    rules: readonly RuleState[]
  }
  interface Time {
    nowMs: number
  }
  return {
    set: async (rules) => (await ask<Plan>('POST', '/plan', rules)).rules,
    add: async (...rules) => (await ask<Plan>('POST', '/plan?add=true', rules)).rules,
    clear: async () => void (await ask('DELETE', '/plan')),
    plan: async () => (await ask<Plan>('GET', '/plan')).rules,
    advance: async (advanceMs) => (await ask<Time>('POST', '/clock', { advanceMs })).nowMs,
    now: async () => (await ask<Time>('GET', '/clock')).nowMs,
    calls: () => ask('GET', '/calls'),
    clearCalls: async () => void (await ask('DELETE', '/calls')),
  }
}
