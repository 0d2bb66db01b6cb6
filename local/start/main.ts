import { relative } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { runAudit } from '../../shared/audit/index.ts'
import { type Config, loadConfig } from '../../shared/config/index.ts'
import { messageOf, UserError } from '../../shared/errors.ts'
import { openWarehouse, type Warehouse } from '../../shared/warehouse/index.ts'
import { lockFolder } from '../folder-lock.ts'
import { freePort } from '../free-port.ts'
import { startFunctions } from '../functions.ts'
import { cloudService, commandService } from '../services.ts'
import { AgentStatus } from './agent-status.ts'
import type { Feed } from './feed.ts'
import { SAMPLE, sampleTally, startShop } from './sample.ts'
import { HELP, readOptions, type StartOptions } from './options.ts'
import { countOwnLog, requireOwnLog } from './own-log.ts'
import { countHoldings, countRows, verdictOf } from './proof.ts'
import { describeSnapshot, StatusLine } from './status-line.ts'
import { type Stop, stopOfUser } from './stop-signal.ts'
import { Supervisor } from './supervisor.ts'
import { Workspace } from './workspace.ts'

/**
 * After the traffic has stopped, something arrives within this time again and again, or the run has failed. A chunk
 * whose function was killed waits for its claim's end too.
 */
const PROGRESS_WITHIN_MS = 120_000
const DRAIN_LOOK_MS = 500

/** Everything that runs, and what is asked of it. */
interface Run {
  readonly supervisor: Supervisor
  readonly config: Config
  readonly warehouse: Warehouse
  readonly feed: Feed
  readonly agent: AgentStatus
  readonly status: StatusLine
  readonly startedMs: number
}

/** `npm start`: the whole pipeline on this machine. Resolves to the exit code. @throws UserError */
async function start(options: StartOptions): Promise<number> {
  const stop = stopOfUser()
  const status = new StatusLine(process.stdout)
  const config = loadConfig(options.config ?? SAMPLE)
  if (options.ownLog) requireOwnLog(config, options.ownLog)
  const workspace = new Workspace(options.dataDir, options.config ?? SAMPLE)
  const release = await lockFolder(workspace.run, `${workspace.dataDir} is in use: npm start runs here already,`)
  const supervisor = new Supervisor(workspace.run, {
    say: (text) => status.say(text),
    failed: ({ message }) =>
      stop.now(new UserError(message, 'npm start again: it goes on with the same data, nothing is lost')),
  })
  try {
    return await runAll(options, workspace, supervisor, status, stop)
  } finally {
    await supervisor.close()
    await release()
  }
}

async function runAll(
  options: StartOptions,
  workspace: Workspace,
  supervisor: Supervisor,
  status: StatusLine,
  stop: Stop,
): Promise<number> {
  const stopped = new Promise<undefined>((resolve) =>
    stop.signal.addEventListener('abort', () => resolve(undefined), { once: true }),
  )
  const untilStopped = <T>(work: Promise<T>): Promise<T | undefined> => Promise.race([work, stopped])
  const run = await untilStopped(startAll(options, workspace, supervisor, status, stop.signal))
  if (run) await untilStopped(watch(run, options.forMs, stop.signal))
  const holds = run && options.forMs !== undefined && !stop.aborted ? await untilStopped(prove(run)) : undefined
  run?.warehouse.close()
  stop.throwFailure()
  if (options.forMs === undefined) {
    status.say('stopping: the next npm start goes on with the same data')
    return 0
  }
  if (holds === undefined) status.say('stopped before the end: nothing is proven')
  return holds ? 0 : 1
}

async function startAll(
  options: StartOptions,
  workspace: Workspace,
  supervisor: Supervisor,
  status: StatusLine,
  signal: AbortSignal,
): Promise<Run> {
  const startedMs = Date.now()
  await supervisor.clear()
  const [functionsPort, agentPort] = [await freePort(), await freePort()]
  workspace.prepare({ ownLog: options.ownLog, foreignBroker: Boolean(process.env['KAFKA_BROKERS']), agentPort })
  status.say('starting the embedded cloud: Kafka, BigQuery, Cloud Storage')
  const ready = await supervisor.start(cloudService(workspace.dataDir, workspace.configFile, functionsPort))
  workspace.connect(JSON.parse(ready) as Parameters<Workspace['connect']>[0])
  const config = loadConfig(workspace.configFile)
  status.say('starting the functions, the worker and the agent')
  const { push } = await startFunctions(supervisor, config, functionsPort)
  if (push) status.say(`kafka-push takes events at ${push}ROUTE`)
  await supervisor.start(commandService('agent', config.file))
  const feed = options.ownLog
    ? withEarlier(sampleTally(workspace, config), countOwnLog(workspace.dataDir, config, options.ownLog, signal))
    : await startShop(supervisor, workspace, config, options.rate)
  const warehouse = openWarehouse(config, 'start')
  status.say(howToQuery(config, options.ownLog?.route))
  return { supervisor, config, warehouse, feed, agent: new AgentStatus(agentPort), status, startedMs }
}

function withEarlier(events: number, feed: Feed): Feed {
  return { written: async () => events + (await feed.written()), stop: () => feed.stop() }
}

function howToQuery(config: Config, fed = Object.keys(config.routes)[0]): string {
  const route = config.routes[fed ?? '']
  const path = relative('.', config.file)
  const file = /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`
  const table = route ? `${route.table.dataset}.${route.table.table}` : ''
  const { bigquery, storage } = config.endpoints
  const gcloud = `  CLOUDSDK_AUTH_DISABLE_CREDENTIALS=True CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE=${storage}/storage/v1/ CLOUDSDK_CORE_PROJECT=${config.project} gcloud storage ls gs://${config.bucket}\n`
  return `ask in another terminal:
  npx millrace query --config ${file} 'SELECT COUNT(*) AS n FROM ${table}'
  npx millrace audit --config ${file}
with Google's own command-line clients, where they are installed:
  bq --api ${bigquery} --oauth_access_token=x --project_id=${config.project} --headless query --use_legacy_sql=false 'SELECT COUNT(*) FROM ${table}'
${config.bucket ? gcloud : ''}`
}

/** The live status, until the time is over or the user stops it. */
async function watch(run: Run, forMs: number | undefined, stop: AbortSignal): Promise<void> {
  const over = AbortSignal.any([stop, ...(forMs === undefined ? [] : [AbortSignal.timeout(forMs)])])
  while (!over.aborted) {
    await delay(run.status.refreshMs, undefined, { signal: over }).catch(() => undefined)
    if (!stop.aborted) await show(run)
  }
}

async function show({ status, startedMs, feed, agent, warehouse, config }: Run): Promise<void> {
  const [written, figures, held] = await Promise.all([
    feed.written(),
    agent.ask(),
    countRows(warehouse, config).catch(() => undefined),
  ])
  status.show(describeSnapshot({ elapsedMs: Date.now() - startedMs, written, ...held, ...figures }))
}

/** Stops the traffic, waits until everything has arrived, and says what came of it: whether all of it holds. */
async function prove({ feed, status, warehouse, config }: Run): Promise<boolean> {
  status.say('the time is over: stopping the traffic, draining')
  await feed.stop()
  const events = await feed.written()
  let held = await countHoldings(warehouse, config)
  const patienceMs = PROGRESS_WITHIN_MS + config.chunk_claim
  for (let deadline = Date.now() + patienceMs; held.distinct < events && Date.now() < deadline; ) {
    await delay(DRAIN_LOOK_MS)
    const before = held.distinct
    held = await countHoldings(warehouse, config)
    if (held.distinct > before) deadline = Date.now() + patienceMs
  }
  const report = await runAudit(warehouse, config)
  status.say(`audit: ${report.sources} sources, ${report.finished} finished, ${report.faults} gaps or overlaps`)
  for (const fault of report.listed) status.say(JSON.stringify(fault))
  const verdict = verdictOf(events, await countHoldings(warehouse, config), report)
  if (verdict.unknown > 0) status.say(`${verdict.unknown} events are there that nobody has tallied`)
  status.say(verdict.line)
  return verdict.holds
}

try {
  const options = readOptions(process.argv.slice(2))
  if (options === 'help') process.stdout.write(HELP)
  else process.exitCode = await start(options)
} catch (error) {
  process.exitCode = 2
  process.stderr.write(
    error instanceof UserError
      ? `${messageOf(error)}\n${error.fix ? `fix: ${error.fix}\n` : ''}`
      : `${(error as Error).stack}\n`,
  )
}
