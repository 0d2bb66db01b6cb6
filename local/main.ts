import { once } from 'node:events'
import type { Config } from '../shared/config/index.ts'
import { type Local, startLocal } from './cloud.ts'
import { freePort } from './free-port.ts'
import { startFunctions } from './functions.ts'
import { Supervisor } from './start/supervisor.ts'

export interface RunLocalOptions {
  readonly config: Config | undefined
  readonly dataDir: string
  /** Also runs the worker and the functions of the configuration. */
  readonly functions: boolean
  /** BigQuery keeps no rows. */
  readonly count: boolean
  readonly json: boolean
  readonly signal: AbortSignal
}

/** `millrace local`: the embedded cloud, until the signal. */
export async function runLocal(options: RunLocalOptions): Promise<void> {
  const { config, dataDir, count, signal } = options
  const ownFunctions = options.functions && config !== undefined
  const functionsPort = config?.local.ports.functions || (ownFunctions ? await freePort() : 0)
  const local = await startLocal({ config, dataDir, functionsPort, count })
  const services = ownFunctions ? await startServices(config, local, functionsPort) : undefined
  try {
    if (services?.push) LISTENER.say(`kafka-push takes events at ${services.push}ROUTE`)
    process.stdout.write(options.json ? `${JSON.stringify(announcement(local, config))}\n` : describe(local))
    if (!signal.aborted) await once(signal, 'abort')
  } finally {
    await services?.supervisor.close()
    await local.stop()
  }
}

/** A part that ends is told on standard error; the embedded cloud runs on. */
const LISTENER = {
  say: (text: string) => void process.stderr.write(`${text}\n`),
  failed: ({ message }: Error) => void process.stderr.write(`${message}\n`),
}

async function startServices(config: Config, local: Local, port: number) {
  const supervisor = new Supervisor(local.folder('run'), LISTENER)
  await supervisor.clear()
  Object.assign(process.env, local.env)
  return { supervisor, ...(await startFunctions(supervisor, config, port)) }
}

function announcement(local: Local, config: Config | undefined): object {
  const { kafka, bigquery, bigqueryStorage, storage, faults } = local.endpoints
  return { project: config?.project ?? 'local', kafka, bigquery, bigqueryStorage, storage, faults, env: local.env }
}

function describe({ endpoints, env }: Local): string {
  const rows = Object.entries(endpoints).map(([name, address]) => `  ${name.padEnd(16)} ${address}`)
  const exports = Object.entries(env).map(([name, value]) => `  export ${name}=${value}`)
  return `The embedded cloud is ready:\n${rows.join('\n')}\nFor other processes:\n${exports.join('\n')}\n`
}
