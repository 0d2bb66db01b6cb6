import { type Committing, nextStep, whenStreamsAreGone } from '../../shared/chunks/index.ts'
import { messageOf } from '../../shared/errors.ts'
import { ObjectState } from './object-state.ts'
import type { Environment } from './environment.ts'
import { type Plan, planOf } from './plan.ts'
import { BrokenContent } from './read-events.ts'
import { carriesRow, recordSource } from './settle.ts'
import { writeRows } from './write-rows.ts'

/** `later`: come back; the notification is to return. */
export type Outcome = { readonly kind: 'done' | 'later'; readonly what: string }

/** What a step ends with; undefined: read again, and take the next one. */
type Next = Outcome | undefined

/** Readings of one object's state in one invocation: each is followed by a step that ends it, or by somebody else's change. */
const READINGS_MAX = 20
/** Unknown answers, each followed by another reading, before the invocation gives up and leaves it to the next. */
const UNKNOWN_ANSWERS_MAX = 3
const AFTER_UNKNOWN_MS = 1_000

/** Takes an object through its states (docs/protocols/chunk-to-bigquery.md) as far as it will go. */
export async function loadChunk(environment: Environment, name: string, generation?: string): Promise<Outcome> {
  const { bucket, clock, log } = environment
  const object = await bucket.stat(name)
  if (!object || (generation !== undefined && object.generation !== generation)) return done('gone or written anew')
  const state = new ObjectState(environment, object)
  let unknown = 0
  for (let readings = 0; readings < READINGS_MAX; readings++) {
    if (readings > 0 && !(await state.read())) return done('gone or written anew')
    try {
      const outcome = await takeStep(environment, state)
      if (outcome) return outcome
    } catch (error) {
      if (++unknown > UNKNOWN_ANSWERS_MAX) throw error
      log.warn({ object: name, error: messageOf(error) }, 'unknown outcome; reading the object again')
      await clock.pause(AFTER_UNKNOWN_MS)
    }
  }
  return later('its state keeps changing')
}

/** One step from a fresh reading. */
async function takeStep(environment: Environment, state: ObjectState): Promise<Next> {
  const plan = planOf(state.object, environment.config)
  if ('notOurs' in plan) return done(plan.notOurs)
  if ('broken' in plan) return fail(environment, state, plan.broken)
  const step = nextStep(state.state, plan.ranges, state.token, environment.clock.nowMs())
  if (step.do === 'leave') return done(step.reason)
  if (step.do === 'later') return later(step.reason)
  await environment.sinkOf(plan.route).ensureOnce()
  switch (step.do) {
    case 'claim':
      await state.claim()
      return undefined
    case 'write':
      return write(environment, state, plan)
    case 'commit':
      return commit(environment, state, plan, step.committing)
    case 'note-carried-by-kafka':
      await recordSource(environment, plan, state.object, { events: plan.chunk?.events ?? 0, end: plan.size })
      if (!(await state.change({ state: 'committed', rows: 0, deadLetters: 0 }))) return undefined
      return done('Kafka carried it')
  }
}

/** Nothing that another try would mend: an alarm, and the object stays as it is for whoever looks into it. */
async function fail(environment: Environment, state: ObjectState, reason: string): Promise<Next> {
  if (!(await state.change({ state: 'failed', reason }))) return undefined
  environment.log.error({ object: state.object.name, reason }, 'chunk cannot be loaded')
  return done(`failed: ${reason}`)
}

async function write(environment: Environment, state: ObjectState, plan: Plan): Promise<Next> {
  try {
    const written = await writeRows(environment, plan, state)
    if (!written) return later('the claim was replaced while rows were written')
    await state.change({ state: 'committing', token: state.token, since: environment.clock.nowMs(), ...written })
    return undefined
  } catch (error) {
    if (error instanceof BrokenContent) return fail(environment, state, error.message)
    throw error
  }
}

/** Dead letters first, then rows, then the source: whoever sees the last sees the first. */
async function commit(environment: Environment, state: ObjectState, plan: Plan, committing: Committing): Promise<Next> {
  const { warehouse } = environment
  const { rows, deadLetters } = committing
  const answers = [
    deadLetters ? await warehouse.commitStream(deadLetters.stream) : undefined,
    rows ? await warehouse.commitStream(rows.stream) : undefined,
  ]
  if (answers.includes('gone')) {
    if (whenStreamsAreGone(committing, environment.clock.nowMs()) === 'later')
      return later('BigQuery does not know its streams')
    if (!(await carriesRow(environment, plan))) {
      await state.change({ state: 'none' })
      return undefined
    }
  }
  await recordSource(environment, plan, state.object, committing)
  const counts = { rows: rows?.count ?? 0, deadLetters: deadLetters?.count ?? 0 }
  if (!(await state.change({ state: 'committed', ...counts }))) return undefined
  return done(`committed ${counts.rows} rows, ${counts.deadLetters} dead letters`)
}

const done = (what: string): Outcome => ({ kind: 'done', what })
const later = (what: string): Outcome => ({ kind: 'later', what })
