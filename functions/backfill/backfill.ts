import { type ObjectView, stateOf } from '../../shared/chunks/index.ts'
import { messageOf } from '../../shared/errors.ts'
import { type Environment, loadChunk } from '../chunk-load/index.ts'

type Report = Record<'seen' | 'loaded' | 'waiting' | 'failed', number> & { left?: string }

/**
 * Loads, through chunk-load's own state machine, what is decided and not committed: objects whose notification was lost, and
 * chunks that were undecided when they came. Lists in the order of names from `from` on, until `signal`.
 * @returns what it did: `failed` were thrown at, and are tried again by the next one, as is what is `left`: the name to go on from
 */
export async function backfill(
  environment: Environment,
  { from = '', signal }: { from?: string; signal: AbortSignal },
): Promise<Report> {
  const report: Report = { seen: 0, loaded: 0, waiting: 0, failed: 0 }
  for (const prefix of prefixesOf(environment)) {
    for await (const object of environment.bucket.list(prefix, from > prefix ? from : undefined)) {
      if (signal.aborted) return { ...report, left: object.name }
      report.seen++
      if (stateOf(environment.bucket.name, object).state === 'committed') continue
      report[await load(environment, object)]++
    }
  }
  return report
}

/** Below a route's name are its agents' chunks, below its prefix the objects of others. */
function prefixesOf({ config }: Environment): Set<string> {
  const prefixes = Object.values(config.routes).flatMap(({ name, prefix }) => [`${name}/`, prefix ?? `${name}/`])
  return new Set(prefixes.toSorted())
}

async function load(environment: Environment, object: ObjectView): Promise<'loaded' | 'waiting' | 'failed'> {
  try {
    const { kind, what } = await loadChunk(environment, object.name, object.generation)
    return kind === 'done' && what !== 'undecided' ? 'loaded' : 'waiting'
  } catch (error) {
    environment.log.error({ object: object.name, error: messageOf(error) }, 'backfill: chunk not loaded')
    return 'failed'
  }
}
