import type { Config } from '../shared/config/index.ts'
import { messageOf, UserError } from '../shared/errors.ts'
import { createLog, type Log } from '../shared/telemetry/index.ts'
import { checkPaths } from './check-paths.ts'
import { Life, topicsOf } from './life.ts'
import { HostLock } from './publish/index.ts'
import { checkReload } from './reload.ts'

/** What the command tells the agent. */
export interface RunOptions {
  /** Where to begin in topics whose positions Kafka has forgotten. */
  readonly from?: 'start' | 'end' | undefined
  /** Ends the agent: it finishes the batch that it has begun. */
  readonly signal: AbortSignal
  /** Reads the configuration again, at each SIGHUP. @throws what is wrong with it; then the agent goes on as before */
  readonly read: () => Config
}

/**
 * Runs the agent until the signal, with another configuration after each SIGHUP: the life with the old one is ended as
 * at the signal, the next begins as after any error (docs/protocols/agent-positions.md), and the lock is held throughout.
 * Rejects with UserError for what only an operator can mend.
 */
export async function runAgent(config: Config, { from, signal, read }: RunOptions): Promise<void> {
  const log = createLog('agent')
  // Of libraries: else they are no JSON.
  process.removeAllListeners('warning').on('warning', ({ name, message }) => log.warn(`${name}: ${message}`))
  tellMissing(config, log)
  const lock = new HostLock(config.agent.lock_file, `${config.file}: agent.lock_file`)
  const host = { lock, log, from, parked: new Set<string>() }
  const refuse = (error: unknown) => {
    const fix = error instanceof UserError ? { fix: error.fix } : {}
    log.error(fix, `reload refused, the configuration before stays: ${messageOf(error)}`)
  }
  let life: Life | undefined
  let next: Life | undefined
  const reload = () => {
    try {
      const config = read()
      if (life) checkReload(life, config)
      tellMissing(config, log)
      next = new Life(config, host)
      life?.stop()
    } catch (error) {
      refuse(error)
    }
  }
  process.on('SIGHUP', reload)
  try {
    let good = config
    next = new Life(config, host)
    while (next && !signal.aborted) {
      life = next
      next = undefined
      const { agent } = life.config
      log.info({ agent: agent.id, logs: agent.logs.map(({ path }) => path), topics: topicsOf(life.config) }, 'started')
      try {
        await life.run(signal)
        good = life.config
      } catch (error) {
        if (life.config === good || life.hasBegun) throw error
        refuse(error)
        next ??= new Life(good, host)
      }
      for (const source of life.follower.sources.keys()) host.parked.add(source)
    }
  } finally {
    process.off('SIGHUP', reload)
    lock.release()
    log.info('stopped')
  }
}

/** Says which logs match nothing yet. @throws UserError that lists the paths that cannot be of use */
function tellMissing(config: Config, log: Log): void {
  const { file, agent } = config
  if (agent.logs.length === 0)
    log.warn({ file, key: 'agent.logs', fix: 'add their paths' }, 'there are no logs to follow')
  for (const path of checkPaths(config)) log.info({ file }, `${path}: no file matches, it may come`)
}
