import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { type Document, isMap, parseDocument } from 'yaml'
import { loadConfig } from '../../shared/config/index.ts'
import { messageOf, UserError } from '../../shared/errors.ts'
import type { OwnLog } from './own-log.ts'

/**
 * On a broker that is not ours only topics of this prefix are touched. Behind it stands the data folder's own id: what
 * another folder, or one that was deleted, left on the broker is not this one's.
 */
const DEMO_PREFIX = 'millrace-demo-'

const ID_BYTES = 4
/** Of `name` in the configuration. */
const NAME_CHARS_MAX = 41

/** The sample's logs, the broker's segments and the rows of an hour or so. */
const FREE_BYTES_MIN = 1024 ** 3

/** The folder that a run keeps its data in, and the configuration that all its processes read. */
export class Workspace {
  readonly dataDir: string
  readonly configFile: string
  readonly logs: string
  readonly run: string
  readonly #document: Document
  readonly #source: string
  readonly #folder: string

  constructor(dataDir: string, sourceConfig: string) {
    this.dataDir = resolve(dataDir)
    this.configFile = join(this.dataDir, 'millrace.yaml')
    this.logs = join(this.dataDir, 'logs', 'shop')
    this.run = join(this.dataDir, 'run')
    for (const folder of [this.logs, this.run]) makeFolder(folder)
    requireRoom(this.dataDir)
    this.#document = readDocument(sourceConfig)
    this.#source = sourceConfig
    this.#folder = dirname(resolve(sourceConfig))
  }

  /** Writes the configuration: paths absolute, names of topics as the broker allows them. */
  prepare(options: { ownLog?: OwnLog | undefined; foreignBroker: boolean; agentPort: number }): void {
    const routes = this.#document.get('routes')
    for (const { key } of isMap(routes) ? routes.items : []) this.#prepareRoute(String(key), options.foreignBroker)
    if (options.foreignBroker) this.#separate()
    this.#set(['agent', 'lock_file'], join(this.run, 'agent.lock'))
    this.#set(['agent', 'port'], options.agentPort)
    if (options.ownLog) this.#feed(options.ownLog)
    else this.#sampleLogs()
    this.save()
  }

  /** Groups and transactions of its own. */
  #separate(): void {
    const { agent, name } = loadConfig(this.#source)
    this.#set(['name'], `${name.slice(0, NAME_CHARS_MAX - 2 * ID_BYTES - 1)}-${this.#id()}`)
    this.#set(['agent', 'id'], `${agent.id}-${this.#id()}`)
  }

  /** Made once for a data folder. */
  #id(): string {
    const file = join(this.dataDir, 'id')
    if (!existsSync(file)) writeFileSync(file, randomBytes(ID_BYTES).toString('hex'))
    return readFileSync(file, 'utf8')
  }

  #prepareRoute(route: string, foreignBroker: boolean): void {
    const schema = this.#document.getIn(['routes', route, 'schema'])
    if (typeof schema === 'string' && !isAbsolute(schema))
      this.#set(['routes', route, 'schema'], resolve(this.#folder, schema))
    const topic = this.#document.getIn(['routes', route, 'topic'])
    if (!foreignBroker || typeof topic !== 'string') return
    const name = topic.startsWith(DEMO_PREFIX) ? topic.slice(DEMO_PREFIX.length) : topic
    this.#set(['routes', route, 'topic'], `${DEMO_PREFIX}${this.#id()}-${name}`)
  }

  #sampleLogs(): void {
    const logs = this.#document.toJS() as { agent: { logs: { path: string }[] } }
    logs.agent.logs.forEach(({ path }, index) => {
      this.#set(['agent', 'logs', index, 'path'], join(this.logs, path.replace(/^.*\//, '')))
    })
  }

  #feed({ file, route }: OwnLog): void {
    this.#set(['agent', 'logs'], [{ path: resolve(file), route, complete: true }])
    this.#set(['agent', 'finish_after'], '2s')
    this.#set(['chunk_claim'], '30s')
    // However old the file is, Kafka carries it: the user wants to see the whole way.
    this.#set(['agent', 'handover_after'], '36500d')
  }

  /** Where the embedded cloud is, as it announced itself. */
  connect(endpoints: { kafka: string; bigquery: string; bigqueryStorage: string; storage: string }): void {
    if (this.#document.has('kafka')) this.#set(['kafka'], { brokers: endpoints.kafka.split(',') }) // without the real one's auth
    const { bigquery, bigqueryStorage, storage } = endpoints
    this.#set(['endpoints'], { bigquery, bigquery_storage: bigqueryStorage, storage })
    this.save()
  }

  #set(path: readonly (string | number)[], value: unknown): void {
    this.#document.setIn(path, this.#document.createNode(value))
  }

  save(): void {
    writeFileSync(this.configFile, this.#document.toString())
  }
}

function readDocument(file: string): Document {
  try {
    return parseDocument(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new UserError(
      `cannot read the configuration ${file}: ${messageOf(error)}`,
      'name the file with --config FILE',
    )
  }
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true })
  } catch (error) {
    throw new UserError(
      `cannot make the folder ${folder}: ${messageOf(error)}`,
      'make room or give rights, or choose another with --data DIR',
    )
  }
}

/** A full disk is told before the broker and the stand-ins run into it. */
function requireRoom(folder: string): void {
  const { bavail, bsize } = statfsSync(folder)
  const free = bavail * bsize
  if (free >= FREE_BYTES_MIN) return
  const mib = (bytes: number) => `${Math.floor(bytes / 1024 ** 2)} MiB`
  throw new UserError(
    `only ${mib(free)} are free for ${folder}, ${mib(FREE_BYTES_MIN)} are needed`,
    'make room, or choose another disk with --data DIR',
  )
}
