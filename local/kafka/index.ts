import { resolve } from 'node:path'
import { UserError } from '../../shared/errors.ts'
import { Broker, type ScramUser } from './broker.ts'
import { isFree } from '../free-port.ts'
import { freePorts } from './ports.ts'
import type { Listener } from './properties.ts'
import { findRuntime } from './find-runtime.ts'

export type { ScramUser } from './broker.ts'
export { type Listener, PATIENT } from './properties.ts'
export { administer, createTopics } from './topics.ts'

export interface KafkaOptions {
  /** The data folder (`.millrace`): data go to `kafka/`, the log to `logs/kafka.log`, a note of the process to `run/`. */
  dataDir: string
  /** Port of the plain listener on 127.0.0.1; a free one by default. */
  port?: number
  /** Listeners beside the plain one: SASL or TLS, configured by `properties`. */
  listeners?: readonly Listener[]
  /** More server properties; they win over the defaults. Files that they name must lie below `dataDir` (Docker). */
  properties?: Readonly<Record<string, string>>
  /** Users of SCRAM listeners; only taken when the data folder is new. */
  scramUsers?: readonly ScramUser[]
  /** Later Java flags win: `-Xmx1g -XX:TieredStopAtLevel=4` for a benchmark. */
  javaOptions?: readonly string[]
  /** Called when the broker ends though nobody asked for it. */
  onCrash?: (error: UserError) => void
  /** Told one line for each thing that takes long. Default: standard error. */
  say?: (line: string) => void
  env?: NodeJS.ProcessEnv
}

/** A broker that serves clients. It ends with this process, however that ends. */
export interface RunningKafka {
  /** Bootstrap address of the plain listener: `127.0.0.1:23456`. */
  readonly brokers: string
  /** Addresses of the extra listeners by name. */
  readonly listeners: Readonly<Record<string, string>>
  /** Every topic's name must start so: empty, or `millrace-demo-` on a broker that is not ours. */
  readonly topicPrefix: string
  /** For people: `Kafka 4.1.2 on Java 17`. */
  readonly name: string
  readonly logFile: string
  /** Process id of the broker; undefined while it is down, or when it is not ours. */
  readonly pid: number | undefined
  stop(): Promise<void>
  /** SIGKILL: what a power failure leaves. Start it again with `restart`. */
  kill(): Promise<void>
  /** Stops it when it runs, and starts it on the same ports and data. */
  restart(): Promise<void>
  /** Lets this process end though the broker runs. */
  unref(): void
}

/** A port that was free a moment ago may be taken when the broker binds it. */
const START_TRIES_MAX = 3
const DEMO_PREFIX = 'millrace-demo-'

/**
 * Starts a real broker, one node, 127.0.0.1 only; or uses KAFKA_BROKERS when that is set.
 * @throws UserError when there is no way to run Kafka here, when the port is busy, or when it does not come up.
 */
export async function startKafka(options: KafkaOptions): Promise<RunningKafka> {
  const env = options.env ?? process.env
  const brokers = env['KAFKA_BROKERS']
  if (brokers !== undefined && brokers !== '') return foreignKafka(brokers)
  if (options.port !== undefined && !(await isFree(options.port))) {
    throw new UserError(
      `port ${options.port} on 127.0.0.1 is in use, Kafka cannot listen there`,
      'Choose another port.',
    )
  }
  const runtime = await findRuntime({ env, say: options.say ?? sayToStderr })
  const dataDir = resolve(options.dataDir)
  const listeners = options.listeners ?? []
  for (let tries = 1; ; tries++) {
    const ports = await freePorts(listeners.length, options.port)
    const broker = new Broker({ ...options, runtime, dataDir, ports })
    try {
      await broker.start()
      const addresses = listeners.map((listener, i) => [listener.name, `127.0.0.1:${ports.extra[i]}`])
      return ownKafka(broker, runtime.name, `127.0.0.1:${ports.plain}`, Object.fromEntries(addresses))
    } catch (error) {
      if (tries === START_TRIES_MAX || !/Address already in use/.test(String(error))) throw error
    }
  }
}

function ownKafka(broker: Broker, name: string, brokers: string, listeners: Record<string, string>): RunningKafka {
  return {
    brokers,
    listeners,
    topicPrefix: '',
    name,
    logFile: broker.logFile,
    get pid() {
      return broker.pid
    },
    stop: () => broker.stop(),
    kill: () => broker.kill(),
    restart: async () => {
      await broker.stop()
      await broker.start()
    },
    unref: () => broker.unref(),
  }
}

function foreignKafka(brokers: string): RunningKafka {
  const refuse = () =>
    Promise.reject(new UserError(`the broker ${brokers} is not Millrace's to stop`, 'Unset KAFKA_BROKERS for this.'))
  return {
    brokers,
    listeners: {},
    topicPrefix: DEMO_PREFIX,
    name: `Kafka at ${brokers} (KAFKA_BROKERS)`,
    logFile: '',
    pid: undefined,
    stop: () => Promise.resolve(),
    kill: refuse,
    restart: refuse,
    unref: () => undefined,
  }
}

function sayToStderr(line: string): void {
  process.stderr.write(`${line}\n`)
}
