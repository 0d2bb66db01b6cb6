import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

const TICKS_A_SECOND = 100
/** No more CPU than this in one look: the process waits for work. */
const QUIET_SECONDS = 0.02
const QUIET_LOOKS = 3
const LOOK_MS = 400

/** A process that is measured from outside, by what the kernel counts of it and all its threads (Linux). */
export class Measured {
  readonly #process: ChildProcess
  #output = ''

  constructor(command: readonly string[], env: NodeJS.ProcessEnv = {}, input: number | 'ignore' = 'ignore') {
    // With a limit of a million descriptors some daemons spend a minute on closing them all.
    const limited = ['-c', 'ulimit -n 4096; exec "$@"', 'sh', ...command]
    this.#process = spawn('sh', limited, { stdio: [input, 'pipe', 'pipe'], env: { ...process.env, ...env } })
    for (const stream of [this.#process.stdout, this.#process.stderr])
      stream?.on('data', (piece: Buffer) => (this.#output = `${this.#output}${piece.toString()}`.slice(-4000)))
    this.#process.on('error', (error) => (this.#output += error.message))
  }

  /** User and system time so far, in seconds; after the end: of the last look. */
  cpuSeconds(): number {
    const fields = this.#proc('stat')
      .replace(/^.*\) /s, '')
      .split(' ')
    return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND
  }

  residentMegabytes(): number {
    return this.#status('VmRSS')
  }

  peakMegabytes(): number {
    return this.#status('VmHWM')
  }

  get running(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null
  }

  /** Resolves when it has nothing to do. Rejects when it has ended. */
  async untilQuiet(): Promise<void> {
    for (let quiet = 0, before = 0; quiet < QUIET_LOOKS; ) {
      await delay(LOOK_MS)
      const now = this.cpuSeconds()
      quiet = now - before <= QUIET_SECONDS ? quiet + 1 : 0
      before = now
    }
  }

  async stop(): Promise<void> {
    if (!this.running) return
    const ended = once(this.#process, 'exit')
    this.#process.kill('SIGTERM')
    const tooLong = setTimeout(() => this.#process.kill('SIGKILL'), 10_000)
    await ended
    clearTimeout(tooLong)
  }

  #status(field: string): number {
    return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(this.#proc('status'))?.[1]) / 1024
  }

  #proc(name: string): string {
    try {
      return readFileSync(`/proc/${this.#process.pid}/${name}`, 'utf8')
    } catch {
      throw new Error(`the process has ended (${this.#process.exitCode}): ${this.#output.trim()}`)
    }
  }
}
