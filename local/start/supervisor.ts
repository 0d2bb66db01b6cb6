import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { UserError } from '../../shared/errors.ts'

/** After SIGTERM; Cloud Run allows 10 s. */
const STOP_WITHIN_MS = 10_000
/** A process that ended by itself is started again after this time, doubled each time up to the limit. */
const RESTART_AFTER_MS_MIN = 250
const RESTART_AFTER_MS_MAX = 5_000
/** A process that ran for this long was well: its next restart is quick again. */
const WELL_AFTER_MS = 10_000
const READY_WITHIN_MS = 60_000
/** Of a service that failed to start. */
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
  child: ChildProcess
  stopping: boolean
  startedMs: number
  restartAfterMs: number
}

/**
 * Runs the parts of the pipeline as processes of their own, as in production. What they say goes to
 * `<folder>/<name>.log`, their process ids to `<folder>/<name>.pid`. They end with this process, however that ends.
 */
export class Supervisor {
  readonly #folder: string
  readonly #running = new Map<string, Running>()
  /** Told when a service ends that nobody asked to. */
  onUnexpectedEnd: (name: string, how: string) => void = () => undefined

  constructor(folder: string) {
    this.#folder = folder
    mkdirSync(folder, { recursive: true })
  }

  logOf(name: string): string {
    return join(this.#folder, `${name}.log`)
  }

  /** Starts a service; gives back the line that it announces itself with, or an empty one. */
  async start(service: Service): Promise<string> {
    const child = this.#spawn(service)
    const running: Running = {
      service,
      child,
      stopping: false,
      startedMs: Date.now(),
      restartAfterMs: RESTART_AFTER_MS_MIN,
    }
    this.#running.set(service.name, running)
    this.#watch(running)
    return service.announces ? this.#announcement(service.name, child) : ''
  }

  #spawn({ name, args, env, announces }: Service): ChildProcess {
    const log = openSync(this.logOf(name), 'a')
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
    return child
  }

  #watch(running: Running): void {
    const { child, service } = running
    child.once('exit', (code, signal) => {
      if (running.stopping) return
      this.onUnexpectedEnd(service.name, signal ?? `exit code ${code}`)
      if (service.restart) void this.#restart(running)
    })
  }

  async #restart(running: Running): Promise<void> {
    if (Date.now() - running.startedMs >= WELL_AFTER_MS) running.restartAfterMs = RESTART_AFTER_MS_MIN
    await delay(running.restartAfterMs)
    if (running.stopping) return
    running.restartAfterMs = Math.min(2 * running.restartAfterMs, RESTART_AFTER_MS_MAX)
    running.startedMs = Date.now()
    running.child = this.#spawn(running.service)
    this.#watch(running)
  }

  async #announcement(name: string, child: ChildProcess): Promise<string> {
    if (!child.stdout) return ''
    const lines = createInterface({ input: child.stdout })
    const line = new Promise<string>((resolve, reject) => {
      lines.once('line', resolve)
      child.once('exit', () => reject(this.#failure(name, 'ended')))
    })
    const late = delay(READY_WITHIN_MS, undefined, { ref: false }).then(() => {
      throw this.#failure(name, `was not ready within ${READY_WITHIN_MS / 1000} s`)
    })
    return Promise.race([line, late])
  }

  /** With the last that it said: a broken configuration, a busy port, a damaged folder. */
  #failure(name: string, what: string): UserError {
    const said = readFileSync(this.logOf(name), 'utf8').trimEnd().split('\n').slice(-LAST_LINES)
    return new UserError([`${name} ${what} before it was ready:`, ...said].join('\n'), `see ${this.logOf(name)}`)
  }

  /** Asks for the end, waits, and kills in the end. */
  async stop(name: string): Promise<void> {
    const running = this.#running.get(name)
    if (!running) return
    running.stopping = true
    this.#running.delete(name)
    const { child } = running
    if (child.exitCode === null && child.signalCode === null) {
      const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS)
      await ended
      clearTimeout(timer)
    }
    rmSync(join(this.#folder, `${name}.pid`), { force: true })
  }

  /** Stops everything, the last started first. */
  async close(): Promise<void> {
    for (const name of [...this.#running.keys()].reverse()) await this.stop(name)
  }
}
