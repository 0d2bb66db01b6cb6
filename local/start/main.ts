import { relative } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { runAudit } from '../../shared/audit/index.ts'
import { type Config, loadConfig } from '../../shared/config/index.ts'
import { messageOf, UserError } from '../../shared/errors.ts'
import { openWarehouse, type Warehouse } from '../../shared/warehouse/index.ts'
import { freePort } from '../free-port.ts'
import { cloudService, commandService, functionService } from '../services.ts'
import { countOwnLog, type Feed, startShop } from './feed.ts'
import { claimFolder } from './one-run.ts'
import { HELP, readOptions, type StartOptions } from './options.ts'
import { countHoldings, countRows, verdictOf } from './proof.ts'
import { askAgent } from './agent-status.ts'
import { describeSnapshot, StatusLine } from './status-line.ts'
import { Supervisor } from './supervisor.ts'
import { Workspace } from './workspace.ts'

const SAMPLE = fileURLToPath(new URL('../../examples/shop/millrace.yaml', import.meta.url))
/** After the traffic has stopped, everything is a row or a dead letter within this time, or the run has failed. */
const DRAIN_WITHIN_MS = 120_000
const DRAIN_LOOK_MS = 500

/** Everything that runs, and what is asked of it. */
interface Run {
  readonly supervisor: Supervisor
  readonly config: Config
  readonly warehouse: Warehouse
  readonly feed: Feed
  readonly agentPort: number
  readonly status: StatusLine
  readonly startedMs: number
}

/** `npm start`: the whole pipeline on this machine. Resolves to the exit code. */
async function start(options: StartOptions): Promise<number> {
  const status = new StatusLine(process.stdout)
  const workspace = new Workspace(options.dataDir, options.config ?? SAMPLE)
  const release = claimFolder(workspace.run)
  const supervisor = new Supervisor(workspace.run)
  const stop = stopSignal()
  supervisor.onUnexpectedEnd = (name, how) => {
    if (!stop.aborted) status.say(`${name} ended (${how}); see ${relative('.', supervisor.logOf(name))}`)
  }
  try {
    const run = await startAll(options, workspace, supervisor, status)
    await watch(run, options.forMs, stop)
    const code = options.forMs !== undefined && !stop.aborted ? await prove(run, stop) : 0
    run.warehouse.close()
    return code
  } finally {
    await supervisor.close()
    release()
  }
}

async function startAll(
  options: StartOptions,
  workspace: Workspace,
  supervisor: Supervisor,
  status: StatusLine,
): Promise<Run> {
  const startedMs = Date.now()
  const [functionsPort, agentPort] = [await freePort(), await freePort()]
  workspace.prepare({ ownLog: options.ownLog, prefixTopics: Boolean(process.env['KAFKA_BROKERS']), agentPort })
  loadConfig(workspace.configFile)
  status.say('starting the embedded cloud: Kafka, BigQuery, Cloud Storage')
  const ready = await supervisor.start(cloudService(workspace.dataDir, workspace.configFile, functionsPort))
  workspace.connect(JSON.parse(ready) as Parameters<Workspace['connect']>[0])
  const config = loadConfig(workspace.configFile)
  status.say('starting the functions, the worker and the agent')
  if (config.bucket) await supervisor.start(functionService('chunk-load', functionsPort, config.file))
  if (config.kafka) await supervisor.start(commandService('worker', config.file))
  await supervisor.start(commandService('agent', config.file))
  const warehouse = openWarehouse(config, 'start')
  const feed = options.ownLog
    ? await countOwnLog(config, options.ownLog)
    : await startShop(supervisor, workspace, options.rate)
  status.say(howToQuery(config))
  return { supervisor, config, warehouse, feed, agentPort, status, startedMs }
}

function howToQuery(config: Config): string {
  const [route] = Object.values(config.routes)
  const file = relative('.', config.file)
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
    await show(run)
  }
}

async function show({ status, startedMs, feed, agentPort, warehouse, config }: Run): Promise<void> {
  const [written, agent, rows] = await Promise.all([
    feed.written(),
    askAgent(agentPort),
    countRows(warehouse, config).catch(() => 0),
  ])
  status.show(describeSnapshot({ elapsedMs: Date.now() - startedMs, written, rows, ...agent }))
}

/** Stops the traffic, waits until everything has arrived, and says what came of it. */
async function prove({ feed, status, warehouse, config }: Run, stop: AbortSignal): Promise<number> {
  status.say('the time is over: stopping the traffic, draining')
  await feed.stop()
  const events = await feed.written()
  const deadline = Date.now() + DRAIN_WITHIN_MS
  let held = await countHoldings(warehouse, config)
  while (held.distinct < events && Date.now() < deadline && !stop.aborted) {
    await delay(DRAIN_LOOK_MS)
    held = await countHoldings(warehouse, config)
  }
  const report = await runAudit(warehouse, config)
  status.say(`audit: ${report.sources} sources, ${report.finished} finished, ${report.faults} gaps or overlaps`)
  for (const fault of report.listed) status.say(JSON.stringify(fault))
  const verdict = verdictOf(events, await countHoldings(warehouse, config), report.faults)
  status.say(verdict.line)
  return verdict.holds ? 0 : 1
}

function stopSignal(): AbortSignal {
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => stop.abort())
  return stop.signal
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
