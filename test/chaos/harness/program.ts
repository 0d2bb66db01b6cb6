import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { messageOf } from '../../../shared/errors.ts'
import { MUTANT } from './children.ts'
import { type Step, tally } from './plan.ts'
import { runPlan } from './run-plan.ts'

/** What a chaos program is about. */
export interface Scenario<H> {
  readonly name: string
  /** Pure: the same seed, the same plan. */
  plan(seed: number, forMs: number): readonly Step<H>[]
  /** A harm in a few words; `whole` with its arguments. */
  describe(harm: H, whole: boolean): string
  laneOf(harm: H): string
  /** What is to be harmed, in a folder of its own; nothing of it runs yet. */
  world(folder: string, seed: number): World<H>
}

/** What is harmed. */
export interface World<H> {
  /** Starts the services. @param failed to be told what nobody waits for */
  start(failed: (error: Error) => void): Promise<void>
  /** Starts the processes and their work; resolves when the first of it has been carried. */
  begin(): Promise<void>
  act(harm: H): void | Promise<void>
  /** Ends the work, heals everything, waits until all is carried, and compares. */
  verdict(): Promise<Verdict>
  /** What the processes have said last: for who has to find out what went wrong. */
  tails(): string
  /** Ends everything, however far it has been started. */
  close(): Promise<void>
}

export interface Verdict {
  readonly missing: number
  /** Copies too many, of what was published and of what never was. */
  readonly duplicates: number
  /** What is wrong although nothing is missing or doubled: also a failure. */
  readonly wrong: readonly string[]
  readonly notes: readonly string[]
}

/** From the last harm on: so long may it take until there is a verdict. */
const VERDICT_WITHIN_MS = 240_000
const CLOSE_WITHIN_MS = 60_000
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 }
const say = (line: string) => process.stdout.write(`${line}\n`)

/**
 * `npm run chaos -- NAME --seed S --for T`: prints the seed and the plan, carries it out, and ends with the line
 * `missing=N duplicates=N`, or with `no verdict: ...`. Exit code 0 only when all is well; 2 when it is used wrongly.
 * What failed keeps its folder, with the logs of all processes.
 */
export async function runChaos<H>(scenario: Scenario<H>): Promise<void> {
  const { seed, forMs } = readArguments(scenario.name)
  const plan = scenario.plan(seed, forMs)
  say(`seed ${seed}: ${plan.length} harms in ${forMs / 1000} s${MUTANT && `; planted defect: ${MUTANT}`}`)
  say(tally(plan.map(({ harm }) => scenario.describe(harm, false))))
  say(plan.map(({ atMs, harm }) => `${(atMs / 1000).toFixed(1)} ${scenario.describe(harm, true)}`).join('; '))
  const folder = mkdtempSync(join(tmpdir(), `millrace-chaos-${scenario.name}-${seed}-`))
  const outcome = await carryOut(scenario, { seed, forMs, plan, folder })
  if (outcome.ok) rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  else say(`kept: ${folder}`)
  say(outcome.lastLine)
  process.exit(outcome.ok ? 0 : 1) // nothing that was left open may hold it up
}

interface Run<H> {
  readonly seed: number
  readonly forMs: number
  readonly plan: readonly Step<H>[]
  readonly folder: string
}

async function carryOut<H>(scenario: Scenario<H>, run: Run<H>): Promise<{ ok: boolean; lastLine: string }> {
  const trouble = watchForTrouble(run.forMs + VERDICT_WITHIN_MS)
  const world = scenario.world(run.folder, run.seed)
  try {
    const harmed = async () => {
      await world.start(trouble.tell)
      await world.begin()
      await runPlan(run.plan, scenario.laneOf, (harm) => world.act(harm))
      return world.verdict()
    }
    const { missing, duplicates, wrong, notes } = await Promise.race([harmed(), trouble.met])
    for (const line of [...notes, ...wrong.map((what) => `WRONG: ${what}`)]) say(line)
    const ok = missing === 0 && duplicates === 0 && wrong.length === 0
    if (!ok) say(world.tails())
    return { ok, lastLine: `missing=${missing} duplicates=${duplicates}` }
  } catch (error) {
    say(`${error instanceof Error ? error.stack : String(error)}\n${world.tails()}`)
    return { ok: false, lastLine: `no verdict: ${messageOf(error).split('\n')[0]}` }
  } finally {
    await Promise.race([world.close(), delay(CLOSE_WITHIN_MS)]).catch((error: unknown) => say(`close: ${error}`))
  }
}

/** Whatever ends a run without a verdict: errors that nobody catches, a signal, too much time. */
function watchForTrouble(withinMs: number): { met: Promise<never>; tell: (error: Error) => void } {
  const { promise, reject } = Promise.withResolvers<never>()
  promise.catch(() => undefined) // it may come when the verdict is there
  process.on('uncaughtException', reject) // rejections that nobody handles come here too
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => reject(new Error(name)))
  setTimeout(() => reject(new Error(`not within ${withinMs / 1000} s`)), withinMs) // it also keeps the process alive
  return { met: promise, tell: reject }
}

function readArguments(name: string): { seed: number; forMs: number } {
  try {
    const { values } = parseArgs({
      options: { seed: { type: 'string', default: '1' }, for: { type: 'string', default: '60s' } },
    })
    const [, digits = '', unit = ''] = /^(\d+)(ms|s|m)$/.exec(values.for) ?? []
    const forMs = Number(digits) * (UNITS[unit] ?? 0)
    if (!/^\d+$/.test(values.seed) || forMs === 0) throw new Error('--seed takes a number, --for a time such as 60s')
    return { seed: Number(values.seed), forMs }
  } catch (error) {
    process.stderr.write(`chaos ${name}: ${messageOf(error)}; usage: npm run chaos -- ${name} --seed 7 --for 60s\n`)
    process.exit(2)
  }
}
