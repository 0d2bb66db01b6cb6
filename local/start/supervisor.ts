import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { UserError } from '../../shared/errors.ts'
import { endLeftovers } from './leftovers.ts'
import { Restarts } from './restarts.ts'

/** Everything has ended within this time: the parts that are started again together, then the cloud. */
const STOP_WITHIN_MS = 9_000
/** Each has this time after SIGTERM. Death is no harm: every protocol survives it. */
const STOP_ONE_WITHIN_MS = 6_000
/** Docker may have to fetch its image first. */
const READY_WITHIN_MS = 300_000
/** Of a service that failed. */
const LAST_LINES = 6

/** Ends a process when the other end of its pipe is gone: this process died, by kill -9 too. */
const WITH_PARENT = new URL('../setup/with-parent.js', import.meta.url).href

/** A process that runs for as long as this one does. */
export interface Service {
  readonly name: string
  /** Arguments of `node`. */
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** It prints one line on stdout when it is ready. */
  readonly announces?: boolean
  /** Started again when it ends by itself, as Cloud Run and systemd do. */
  readonly restart?: boolean
}

interface Running {
  readonly service: Service
  readonly restarts: Restarts
  child: ChildProcess
  /** Its end before that is told by `start`. */
  ready: boolean
  stopping: boolean
  startedMs: number
  /** Where its log began. */
  logFrom: number
}

/** What is told of services that end though nobody asked them to. */
export interface Listener {
  /** One is being started again. */
  say(text: string): void
  /** One that is not started again has ended. */
  failed(error: UserError): void
}

/**
 * Runs the parts of the pipeline as processes of their own, as in production. What they say goes to
 * `<folder>/<name>.log`, their process ids to `<folder>/<name>.pid`. They end with this process, however that ends.
 */
export class Supervisor {
  readonly #folder: string
  readonly #listener: Listener
  readonly #running = new Map<string, Running>()
  readonly #whenClosing: (() => Promise<void>)[] = []
  #closed = false

  constructor(folder: string, listener: Listener) {
    this.#folder = folder
    this.#listener = listener
    mkdirSync(folder, { recursive: true })
  }

  /** To be awaited first: waits for the end of what a killed run left behind. */
  async clear(): Promise<void> {
    await endLeftovers(this.#folder, WITH_PARENT, (text) => this.#listener.say(text))
  }

  #logOf(name: string): string {
    return join(this.#folder, `${name}.log`)
  }

  /** Starts a service; gives back the line that it announces itself with, or an empty one. @throws UserError */
  async start(service: Service): Promise<string> {
    if (this.#closed) throw new Error(`${service.name}: the supervisor is closed`)
    const running: Running = {
      service,
      restarts: new Restarts(),
      ...this.#spawn(service),
      ready: !service.announces,
      stopping: false,
    }
    this.#running.set(service.name, running)
    this.#watch(running)
    return service.announces ? this.#announcement(running) : ''
  }

  #spawn({ name, args, env, announces }: Service): Pick<Running, 'child' | 'startedMs' | 'logFrom'> {
    const log = openSync(this.#logOf(name), 'a')
    const logFrom = fstatSync(log).size
    // A Ctrl-C of the terminal reaches this process alone: it stops the others in their order.
    const child = spawn(process.execPath, ['--import', WITH_PARENT, ...args], {
      stdio: ['ignore', announces ? 'pipe' : log, log, 'pipe'],
      env: { ...process.env, ...env, MILLRACE_PARENT_FD: '3' },
      detached: true,
    })
    closeSync(log)
    if (child.pid !== undefined) {
      writeFileSync(join(this.#folder, `${name}.pid`), String(child.pid))
    }
    return { child, startedMs: Date.now(), logFrom }
  }

  #watch(running: Running): void {
    const { child, service, restarts } = running
    child.once('exit', (code, signal) => {
      if (running.stopping || !running.ready) return
      const how = signal ?? `exit code ${code}`
      if (!service.restart) return this.#listener.failed(this.#failure(running, `ended (${how})`))
      const { afterMs, say } = restarts.ended(Date.now() - running.startedMs, signal === null)
      if (say === 'ended') this.#listener.say(`${service.name} ended (${how}); it is started again`)
      if (say === 'again') this.#sayFailure(this.#failure(running, `ends again and again (${how})`))
      void this.#restart(running, afterMs)
    })
  }

  #sayFailure({ message, fix }: UserError): void {
    this.#listener.say(fix ? `${message}\nfix: ${fix}` : message)
  }

  async #restart(running: Running, afterMs: number): Promise<void> {
    await delay(afterMs)
    if (running.stopping) return
    Object.assign(running, this.#spawn(running.service))
    this.#watch(running)
  }

  async #announcement(running: Running): Promise<string> {
    const { child } = running
    if (!child.stdout) return ''
    const lines = createInterface({ input: child.stdout })
    const line = new Promise<string>((resolve, reject) => {
      lines.once('line', (text) => {
        running.ready = true
        resolve(text)
      })
      child.once('exit', () => reject(this.#failure(running, 'could not be started')))
    })
    const late = delay(READY_WITHIN_MS, undefined, { ref: false }).then(() => {
      throw this.#failure(running, `was not ready within ${READY_WITHIN_MS / 1000} s`)
    })
    return Promise.race([line, late])
  }

  /** With the last that it said, and the fix that it named: a broken configuration, a busy port, a damaged folder. */
  #failure({ service, logFrom }: Running, what: string): UserError {
    const log = this.#logOf(service.name)
    const said = readFileSync(log).subarray(logFrom).toString()
    const lines = said.split('\n').filter((line) => line.trim() !== '' && !/^ +at /.test(line))
    const fix = lines.findLast((line) => line.startsWith('fix: '))
    const last = lines.filter((line) => line !== fix).slice(-LAST_LINES)
    const message = [`${service.name} ${what}${last.length > 0 ? ':' : ''}`, ...last, `(its log: ${log})`].join('\n')
    return new UserError(message, fix?.slice('fix: '.length))
  }

  /** Asks for the end, waits, and kills in the end. */
  async stop(name: string, withinMs = STOP_ONE_WITHIN_MS): Promise<void> {
    const running = this.#running.get(name)
    if (!running) return
    running.stopping = true
    this.#running.delete(name)
    const { child } = running
    if (child.exitCode === null && child.signalCode === null) {
      const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), withinMs)
      await ended
      clearTimeout(timer)
    }
    rmSync(join(this.#folder, `${name}.pid`), { force: true })
  }

  /** What is to end before the services do. */
  whenClosing(action: () => Promise<void>): void {
    this.#whenClosing.push(action)
  }

  /** Stops everything, the last started first; those that are started again need no order among each other. */
  async close(): Promise<void> {
    this.#closed = true
    const deadline = Date.now() + STOP_WITHIN_MS
    for (const action of this.#whenClosing) await action()
    const stop = ({ service: { name } }: Running) =>
      this.stop(name, Math.max(0, Math.min(STOP_ONE_WITHIN_MS, deadline - Date.now())))
    while (this.#running.size > 0) {
      const all = [...this.#running.values()].reverse()
      const group = all.findIndex(({ service }) => !service.restart)
      await Promise.all(all.slice(0, group === 0 ? 1 : group < 0 ? all.length : group).map(stop))
    }
  }
}
