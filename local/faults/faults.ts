import type { Call, Fault, FaultRule } from './fault.ts'

/** A rule of the plan and what became of it. */
export interface RuleState {
  readonly rule: FaultRule
  /** Calls that matched since the rule was added. */
  seen: number
  /** How often it struck. */
  struck: number
}

export interface Faults {
  /**
   * Asked once for each call, before it has any effect. The first rule of the plan that is due strikes and is used up
   * by one; the others count the call all the same and stay due.
   */
  next(call: Call): Fault | undefined
  /** Adds rules behind those that are there. */
  add(...rules: FaultRule[]): void
  /** Replaces the whole plan, with all counters at zero: the same plan on the same calls strikes at the same places. */
  replace(rules: readonly FaultRule[]): void
  clear(): void
  plan(): readonly RuleState[]
}

interface Compiled extends RuleState {
  readonly matches: (call: Call) => boolean
}

/** An empty plan. */
export function createFaults(): Faults {
  let rules: Compiled[] = []

  function next(call: Call): Fault | undefined {
    if (rules.length === 0) return undefined
    let struck: Compiled | undefined
    for (const state of rules) {
      if (!state.matches(call)) continue
      state.seen++
      if (!struck && isDue(state)) struck = state
    }
    if (struck) struck.struck++
    return struck?.rule.fault
  }

  return {
    next,
    add(...more) {
      rules = [...rules, ...more.map(compile)]
    },
    replace(plan) {
      rules = plan.map(compile)
    },
    clear() {
      rules = []
    },
    plan: () => rules.map(({ rule, seen, struck }) => ({ rule, seen, struck })),
  }
}

function isDue({ rule, seen, struck }: RuleState): boolean {
  return seen >= (rule.nth ?? 1) && struck < (rule.times ?? 1)
}

function compile(rule: FaultRule): Compiled {
  const parts = [pattern(rule.method), pattern(rule.resource), pattern(rule.entry)] as const
  const matches = (call: Call) =>
    (rule.service === undefined || rule.service === call.service) &&
    parts[0](call.method) &&
    parts[1](call.resource) &&
    parts[2](call.entry)
  return { rule, seen: 0, struck: 0, matches }
}

/** A test for a text with `*` as "any text"; without a pattern everything passes. */
export function pattern(text: string | undefined): (value: string) => boolean {
  if (text === undefined || text === '*') return () => true
  if (!text.includes('*')) return (value) => value === text
  const source = text
    .split('*')
    .map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'))
    .join('.*')
  const expression = new RegExp(`^${source}$`, 's')
  return (value) => expression.test(value)
}
