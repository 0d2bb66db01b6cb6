import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { UserError } from '../../shared/errors.ts'
import { claim, clearClaim } from './claim.ts'
import { lastLines, run } from './command.ts'
import type { Ports } from './ports.ts'
import { type Listener, serverProperties } from './properties.ts'
import type { Runtime } from './runtime.ts'

/** A user of a SCRAM listener; created when the data folder is formatted. */
export interface ScramUser {
  mechanism: 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
  name: string
  password: string
}

export interface BrokerOptions {
  runtime: Runtime
  dataDir: string
  ports: Ports
  listeners?: readonly Listener[] | undefined
  properties?: Readonly<Record<string, string>> | undefined
  scramUsers?: readonly ScramUser[] | undefined
  javaOptions?: readonly string[] | undefined
  /** Called when the broker ends though nobody asked for it. */
  onCrash?: ((error: UserError) => void) | undefined
}

/** `millrace-local-1` in the form of Kafka's ids: the same for every folder, so that a folder can be moved. */
const CLUSTER_ID = Buffer.from('millrace-local-1').toString('base64url')
const READY_LINE = 'Kafka Server started'
const READY_WITHIN_MS = 60_000
const STOP_WITHIN_MS = 15_000
const POLL_MS = 20
const LOG_LINES_SHOWN = 12
/** Java reads the names of files by the locale: in the C locale it finds none that is not ASCII. */
const UTF8 = { ...process.env, ...(process.platform === 'linux' ? { LC_ALL: 'C.UTF-8' } : {}) }
const SUPERVISE = join(import.meta.dirname, 'supervise.sh')

interface Life {
  pid: number
  supervisor: ChildProcess
  /** Settles when the broker is gone. */
  ended: Promise<void>
  hasEnded: boolean
  /** It has come up, and nobody has asked for its end: ending now is a crash. */
  wanted: boolean
}

/** One broker on one data folder. It can be stopped or killed, and started again, on the same ports. */
export class Broker {
  readonly logFile: string
  readonly #options: BrokerOptions
  readonly #dir: string
  readonly #claimFile: string
  #life: Life | undefined
  #referenced = true

  constructor(options: BrokerOptions) {
    this.#options = options
    this.#dir = join(options.dataDir, 'kafka')
    this.logFile = join(options.dataDir, 'logs', 'kafka.log')
    this.#claimFile = join(options.dataDir, 'run', 'kafka.json')
  }

  /** The broker's process (with Docker: the client's); undefined while it is down. */
  get pid(): number | undefined {
    return this.#life?.hasEnded === false ? this.#life.pid : undefined
  }

  /**
   * Resolves when clients are served.
   * @throws UserError with the broker's last log lines when it does not come up.
   */
  async start(): Promise<void> {
    if (this.pid !== undefined) throw new Error('the broker runs already')
    const { runtime, dataDir, ports, javaOptions } = this.#options
    await clearClaim(this.#claimFile)
    await this.#removeContainer()
    mkdirSync(join(dataDir, 'logs'), { recursive: true })
    await this.#formatOnce()
    const file = this.#writeProperties('server.properties', 'data')
    const command = runtime.broker(file, dataDir, ports, javaOptions ?? [])
    if (existsSync(this.logFile)) renameSync(this.logFile, `${this.logFile}.1`)
    const life = await this.#spawn(command)
    this.#life = life
    claim(this.#claimFile, life.pid)
    await this.#ready(life)
    life.wanted = true
  }

  /** Lets the broker end in order; kills it after 15 s. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  /** Kills the broker as a power failure would. */
  async kill(): Promise<void> {
    await this.#removeContainer()
    await this.#end('SIGKILL')
  }

  /** Lets the process end while the broker runs; the broker ends with it. */
  unref(): void {
    this.#referenced = false
    if (this.#life !== undefined) unreference(this.#life.supervisor)
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const life = this.#life
    if (life === undefined) return
    life.wanted = false
    if (!life.hasEnded) {
      sendSignal(life.pid, signal)
      const abort = new AbortController()
      const late = delay(STOP_WITHIN_MS, undefined, { signal: abort.signal }).then(
        () => this.kill(),
        () => undefined,
      )
      await Promise.race([life.ended, late])
      abort.abort()
    }
    rmSync(this.#claimFile, { force: true })
  }

  async #removeContainer(): Promise<void> {
    const container = this.#options.runtime.container(this.#options.dataDir)
    if (container !== '') await run(['docker', 'rm', '-f', container])
  }

  /** Formats into a folder of its own and renames it: `data` is formatted whole, or not there. */
  async #formatOnce(): Promise<void> {
    if (existsSync(join(this.#dir, 'data'))) return
    const { runtime, dataDir, scramUsers } = this.#options
    rmSync(join(this.#dir, 'data.new'), { recursive: true, force: true })
    const file = this.#writeProperties('format.properties', 'data.new')
    const users = (scramUsers ?? []).flatMap((user) => [
      '--add-scram',
      `${user.mechanism}=[name=${user.name},password=${user.password}]`,
    ])
    const { code, output } = await run(runtime.format(file, dataDir, ['-t', CLUSTER_ID, ...users]), { env: UTF8 })
    rmSync(file)
    if (code !== 0) throw new UserError(`Kafka could not format ${this.#dir}:\n${lastLines(output, LOG_LINES_SHOWN)}`)
    renameSync(join(this.#dir, 'data.new'), join(this.#dir, 'data'))
  }

  #writeProperties(name: string, data: string): string {
    const { runtime, ports, listeners = [], properties } = this.#options
    const file = join(this.#dir, name)
    mkdirSync(this.#dir, { recursive: true })
    const place = { logDir: join(this.#dir, data), ports, listeners, bind: runtime.bind }
    // Extra properties may hold passwords.
    writeFileSync(file, serverProperties(place, properties), { mode: 0o600 })
    return file
  }

  /** Starts the supervisor in a session of its own, so that Ctrl-C in a terminal reaches only the parent. */
  async #spawn(command: readonly string[]): Promise<Life> {
    const container = this.#options.runtime.container(this.#options.dataDir)
    const supervisor = spawn('/bin/sh', [SUPERVISE, this.logFile, container, ...command], {
      detached: true,
      stdio: ['pipe', 'pipe', 'ignore'],
      cwd: this.#dir,
      env: UTF8,
    })
    const { promise, resolve } = Promise.withResolvers<void>()
    supervisor.once('exit', () => resolve())
    const life: Life = { pid: await firstLine(supervisor), supervisor, ended: promise, hasEnded: false, wanted: false }
    if (!this.#referenced) unreference(supervisor)
    void promise.then(() => this.#ended(life))
    return life
  }

  #ended(life: Life): void {
    life.hasEnded = true
    if (life.wanted) this.#options.onCrash?.(this.#failure('Kafka ended by itself'))
  }

  async #ready(life: Life): Promise<void> {
    const deadline = Date.now() + READY_WITHIN_MS
    let seen = 0
    while (true) {
      const size = existsSync(this.logFile) ? statSync(this.logFile).size : 0
      if (size > seen && readFileSync(this.logFile, 'utf8').includes(READY_LINE)) return
      seen = size
      if (life.hasEnded) throw this.#failure('Kafka did not start')
      if (Date.now() > deadline) {
        await this.kill()
        throw this.#failure(`Kafka was not ready within ${READY_WITHIN_MS / 1000} s`)
      }
      await delay(POLL_MS)
    }
  }

  #failure(what: string): UserError {
    const log = existsSync(this.logFile) ? readFileSync(this.logFile, 'utf8') : ''
    const busy = /Address already in use/.test(log)
    const fix = busy
      ? 'Another program listens on one of its ports: end it, or choose another port.'
      : `The whole log is ${this.logFile}. If its data are broken, remove ${this.#dir} and start again.`
    const withoutStacks = log.replaceAll(/^\s+at .*\n/gm, '')
    return new UserError(`${what}; its last lines:\n${lastLines(withoutStacks, LOG_LINES_SHOWN)}`, fix)
  }
}

function sendSignal(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has just ended.
  }
}

async function firstLine(supervisor: ChildProcess): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  supervisor.once('error', reject)
  supervisor.once('exit', (code) => reject(new Error(`the broker's supervisor ended with ${code}`)))
  supervisor.stdout?.once('data', (line: Buffer) => resolve(Number(line.toString())))
  return promise
}

function unreference(child: ChildProcess): void {
  child.unref()
  for (const stream of [child.stdin, child.stdout]) {
    if (stream !== null && 'unref' in stream && typeof stream.unref === 'function') stream.unref()
  }
}
