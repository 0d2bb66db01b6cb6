import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { tally } from './plan.ts'

const COMMAND = fileURLToPath(new URL('../../../cli/main.ts', import.meta.url))
/** Between the end of a process and its successor's start, as a platform takes it. */
const RESTART_MS = 300
/** After SIGTERM: so long may an end in order take. */
const STOP_WITHIN_MS = 20_000
const TAIL_LINES = 5
const TAILS_MAX = 8
const LINE_CHARS_MAX = 400

/** Names a planted defect: tests prove with it that a chaos program can fail. Nothing that ships reads it. */
export const MUTANT = process.env['CHAOS_MUTANT'] ?? ''

export interface ChildrenOptions {
  /** Where their logs go. */
  readonly folder: string
  /** Arguments of the command `millrace`, asked at each start. */
  readonly args: () => readonly string[]
  /** A module that plants the defect named by `CHAOS_MUTANT` into the process. */
  readonly mutants: URL
  /** So many awake ones are kept alive, as a platform does it. */
  readonly atLeast: number
  readonly atMost: number
}

interface Child {
  readonly name: string
  readonly process: ChildProcess
  readonly exited: Promise<unknown>
  frozen: boolean
  /** Its end was asked for by this signal. */
  ending: NodeJS.Signals | undefined
}

/** Processes of the command `millrace` that are killed, frozen and replaced. They are counted in the order of their start. */
export class Children {
  /** How those ended that were not killed: `code 2`, or `SIGTERM: code 0` when they were asked to. */
  readonly #endings: string[] = []
  #endingsBeforeStop = 0
  readonly #options: ChildrenOptions
  readonly #living = new Set<Child>()
  #started = 0
  #closed = false

  constructor(options: ChildrenOptions) {
    this.#options = options
    mkdirSync(options.folder, { recursive: true })
  }

  /** Starts as many as are wanted and not there. */
  ensure(): void {
    const awake = () => [...this.#living].filter(({ frozen, ending }) => !frozen && !ending).length
    while (!this.#closed && awake() < this.#options.atLeast && this.#living.size < this.#options.atMost) this.add()
  }

  /** One more. False: there are as many as may be. */
  add(): boolean {
    if (this.#closed || this.#living.size >= this.#options.atMost) return false
    const { folder, args, mutants } = this.#options
    const name = String(++this.#started).padStart(3, '0')
    const log = openSync(join(folder, `${name}.log`), 'a')
    const planted = MUTANT ? ['--import', mutants.href] : []
    const process_ = spawn(process.execPath, [...planted, COMMAND, ...args()], {
      stdio: ['ignore', log, log],
      env: { ...process.env, MILLRACE_LOG_LEVEL: 'info' },
    })
    closeSync(log)
    const child: Child = { name, process: process_, exited: once(process_, 'exit'), frozen: false, ending: undefined }
    this.#living.add(child)
    void child.exited.then(() => this.#ended(child))
    return true
  }

  #ended(child: Child): void {
    this.#living.delete(child)
    const { exitCode, signalCode } = child.process
    const end = signalCode ?? `code ${exitCode}`
    if (child.ending !== 'SIGKILL') this.#endings.push(child.ending ? `${child.ending}: ${end}` : end)
    if (!this.#closed) setTimeout(() => this.ensure(), RESTART_MS).unref()
  }

  /** SIGKILL to the nth of the living, its end awaited. Its successor comes as a platform's would. */
  async kill(nth: number): Promise<void> {
    const child = this.#nth(nth)
    if (!child) return
    this.#signal(child, 'SIGKILL')
    await child.exited
  }

  /** SIGTERM to the nth; its successor starts at once, as in a redeployment. */
  stop(nth: number): void {
    const child = this.#nth(nth)
    if (child) this.#signal(child, 'SIGTERM')
    this.ensure()
  }

  /** A signal that does not mean its end. */
  tell(nth: number, signal: NodeJS.Signals): void {
    this.#nth(nth)?.process.kill(signal)
  }

  /** SIGSTOP to the nth, for so long: it wakes as a zombie if another one has taken over. */
  freeze(nth: number, forMs: number): void {
    const child = this.#nth(nth)
    if (!child) return
    child.frozen = true
    child.process.kill('SIGSTOP')
    setTimeout(() => this.#wake(child), forMs).unref()
    this.ensure()
  }

  wakeAll(): void {
    for (const child of this.#living) this.#wake(child)
  }

  /** What became of all of them, in a line. */
  report(): string {
    const asked = this.#endings.slice(0, this.#endingsBeforeStop)
    const last = this.#endings.slice(this.#endingsBeforeStop)
    return `${this.#started} processes started; ended: ${tally(asked) || 'by kill alone'}; at the end: ${tally(last)}`
  }

  /** SIGTERM to all; no more are started. Answers the names of those that had to be killed. */
  async stopAll(): Promise<string[]> {
    this.#closed = true
    this.#endingsBeforeStop = this.#endings.length
    this.wakeAll()
    for (const child of this.#living) this.#signal(child, 'SIGTERM')
    const all = Promise.all([...this.#living].map(({ exited }) => exited))
    await Promise.race([all, delay(STOP_WITHIN_MS, undefined, { ref: false })])
    const late = [...this.#living].map(({ name }) => name)
    await this.killAll()
    return late
  }

  async killAll(): Promise<void> {
    this.#closed = true
    for (const child of this.#living) this.#signal(child, 'SIGKILL')
    await Promise.all([...this.#living].map(({ exited }) => exited))
  }

  /** All that they have said, process by process. */
  logs(): { name: string; lines: string[] }[] {
    const { folder } = this.#options
    return readdirSync(folder)
      .sort()
      .map((name) => ({ name, lines: readFileSync(join(folder, name), 'utf8').trimEnd().split('\n') }))
  }

  /** The last words of those that were started last. */
  tails(): string {
    const tail = (lines: string[]) => lines.slice(-TAIL_LINES).map((line) => `  ${line.slice(0, LINE_CHARS_MAX)}\n`)
    const logs = this.logs().slice(-TAILS_MAX)
    return logs.map(({ name, lines }) => `${name}\n${tail(lines).join('')}`).join('')
  }

  #nth(nth: number): Child | undefined {
    return [...this.#living][nth % this.#living.size]
  }

  #signal(child: Child, signal: NodeJS.Signals): void {
    child.ending = signal
    child.process.kill(signal)
  }

  #wake(child: Child): void {
    if (!child.frozen) return
    child.frozen = false
    child.process.kill('SIGCONT')
  }
}
