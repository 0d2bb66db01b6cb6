import assert from 'node:assert/strict'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import fc from 'fast-check'
import { Events } from '../../shared/framing/index.ts'
import type { Entry } from '../publish/positions.ts'
import { type Followed, Follower } from './follower.ts'
import { Scratch } from './reader.ts'
import { LogPattern } from './scan.ts'

/**
 * Every instant of a copytruncate against every instant of the agent: each call of the file system that the follower
 * makes may have any step of the rotation before it (docs/protocols/agent-positions.md, "copytruncate").
 */

/** The steps of one rotation, in this order, each with an append where a writer may come between. */
const STEPS = ['append', 'create', 'copy 50', 'copy half', 'copy', 'gap', 'truncate', 'regrow', 'outgrow'] as const

const PLACES = [
  { pattern: 'app.log*', copy: 'app.log.1' },
  { pattern: 'app.log', copy: 'app.log.1' },
  { pattern: '**/*.log*', copy: 'old/app.log-20261123' },
] as const

interface Scene {
  /** Lines in the log before the rotation, and how many of them the agent has read by then. */
  readonly lines: number
  readonly read: number
  /** A line is written between the copy and the truncation: it is lost for everybody who has not read it by then. */
  readonly gap: boolean
  /** Each file begins with the same line. */
  readonly header: boolean
  readonly place: (typeof PLACES)[number]
  /** Transactions fail, or the agent is killed, before these of its rounds. */
  readonly fails: readonly number[]
  readonly restarts: readonly number[]
}

const CALLS = ['statSync', 'readdirSync', 'openSync', 'readSync', 'fstatSync'] as const
const ROUNDS = 6

/** The disk of one scene. `before` is called before each call that the agent makes. */
class Disk {
  readonly folder = real.mkdtempSync(join(tmpdir(), 'millrace-copytruncate-'))
  readonly path = join(this.folder, 'app.log')
  readonly copy: string
  readonly scene: Scene
  /** Lines that are lost with the truncation, unless they were read before. */
  readonly lostForAll = new Set<number>()
  count = 0
  step = 0
  copied = 0

  constructor(scene: Scene) {
    this.scene = scene
    this.copy = join(this.folder, scene.place.copy)
    real.mkdirSync(join(this.folder, 'old'))
    this.begin()
    this.append(scene.lines)
  }

  begin(): void {
    if (this.scene.header) real.appendFileSync(this.path, '# the same header\n')
  }

  append(lines: number): void {
    let text = ''
    for (let i = 0; i < lines; i++) text += `line ${this.count++} of this log\n`
    real.appendFileSync(this.path, text)
  }

  /** Does the steps before `end`. */
  advance(end: number): void {
    while (this.step < end) this.#do(STEPS[this.step++]!)
  }

  #do(step: (typeof STEPS)[number]): void {
    if (step === 'append') this.append(2)
    else if (step === 'create') real.writeFileSync(this.copy, '')
    else if (step === 'copy 50') this.#copyTo(50)
    else if (step === 'copy half') this.#copyTo(Math.floor(real.statSync(this.path).size / 2))
    else if (step === 'copy') this.#copyTo(real.statSync(this.path).size)
    else if (step === 'gap' && this.scene.gap) {
      this.lostForAll.add(this.count)
      this.append(1)
    } else if (step === 'truncate') real.truncateSync(this.path, 0)
    else if (step === 'regrow') {
      this.begin()
      this.append(1)
    } else if (step === 'outgrow') this.append(this.scene.lines + 20)
  }

  #copyTo(end: number): void {
    const bytes = real.readFileSync(this.path).subarray(this.copied, Math.max(end, this.copied))
    real.appendFileSync(this.copy, bytes)
    this.copied += bytes.length
  }
}

const real = { ...fs }

/** Calls back before each call of the file system that the product makes. */
async function observed(before: () => void, act: () => Promise<void>): Promise<void> {
  let inside = false // what the steps themselves call is not observed
  for (const name of CALLS) {
    const call = real[name] as (...args: unknown[]) => unknown
    Object.assign(fs, {
      [name]: (...args: unknown[]) => {
        if (!inside) {
          inside = true
          before()
          inside = false
        }
        return call(...args)
      },
    })
  }
  syncBuiltinESMExports()
  try {
    await act()
  } finally {
    Object.assign(fs, Object.fromEntries(CALLS.map((name) => [name, real[name]])))
    syncBuiltinESMExports()
  }
}

/** What the publisher does with a follower, with Kafka in memory. */
class Carrier {
  readonly published: string[] = []
  readonly reports: string[] = []
  readonly #disk: Disk
  readonly #entries = new Map<string, Entry>()
  readonly #workspace = { scratch: new Scratch(), events: new Events() }
  follower!: Follower

  constructor(disk: Disk) {
    this.#disk = disk
    this.restart()
  }

  restart(): void {
    this.follower?.close()
    const pattern = new LogPattern(join(this.#disk.folder, this.#disk.scene.place.pattern))
    const framing = { kind: 'lines' as const, maxEventBytes: 1000 }
    this.follower = new Follower({
      agent: 'a',
      logs: [{ pattern, route: 'lines', framing, complete: false }],
      finishAfterMs: 60_000,
      report: (message) => this.reports.push(message),
    })
    this.follower.adopt([...this.#entries.values()], true)
  }

  /** One look, and one transaction of at most `max` events; it fails, or its positions are kept. */
  async round(max: number, fails: boolean): Promise<void> {
    await this.follower.look()
    const taken: string[] = []
    const changed = new Set<Followed>()
    const rotations = this.follower
      .rotations()
      .map((rotation) =>
        rotation.map((followed) => ({ followed, limit: followed.file.newest ? followed.file.seen.size : Infinity })),
      )
    for (const rotation of rotations) {
      for (const { followed, limit } of rotation) {
        if (!(await this.#drain(followed, limit, max, taken, changed))) break
      }
    }
    if (fails) return this.follower.adopt([...this.#entries.values()], false)
    this.published.push(...taken)
    for (const { source, file } of changed) {
      const entry = { source: source.id, start: 0, retired: false, file: file.hint, ...source.progress }
      this.#entries.set(source.id, entry)
      this.follower.acknowledge(entry)
    }
  }

  async #drain(followed: Followed, limit: number, max: number, taken: string[], changed: Set<Followed>) {
    for (;;) {
      const reading = await followed.source.read(this.#workspace, limit, Infinity, false)
      if (reading.kind === 'lost') this.follower.lose(followed)
      if (reading.kind !== 'piece') return reading.kind === 'drained'
      const { bytes, events } = reading
      const count = Math.min(events.count, max - taken.length)
      for (let i = 0; i < count; i++) taken.push(bytes.toString('utf8', events.valueStart[i], events.valueEnd[i]))
      followed.source.accept(reading, count)
      if (count > 0) changed.add(followed)
      if (count < events.count) return false
    }
  }
}

/** Runs a scene: the rotation stands at step `s` at the latest before the call `at[s]` of the agent. */
async function run(scene: Scene, at: readonly number[]): Promise<number> {
  const disk = new Disk(scene)
  const carrier = new Carrier(disk)
  let calls = 0
  try {
    await carrier.round(scene.read, false)
    const before = () => {
      disk.advance(at.filter((call) => call <= calls).length)
      calls++
    }
    await observed(before, async () => {
      for (let round = 0; round < ROUNDS; round++) {
        if (scene.restarts.includes(round)) carrier.restart()
        await carrier.round(Infinity, scene.fails.includes(round))
      }
    })
    disk.advance(STEPS.length)
    for (let round = 0; round < 3; round++) await carrier.round(Infinity, false)
    check(disk, carrier.published)
    return calls
  } finally {
    carrier.follower.close()
    real.rmSync(disk.folder, { recursive: true })
  }
}

function check(disk: Disk, published: readonly string[]): void {
  const numbers = published.filter((line) => !line.startsWith('#')).map((line) => Number(line.split(' ')[1]))
  const expected = Array.from({ length: disk.count }, (_, n) => n)
  const wanted = expected.filter((n) => !disk.lostForAll.has(n) || numbers.includes(n))
  assert.deepEqual(numbers, wanted)
  assert.equal(published.length - numbers.length, disk.scene.header ? 2 : 0, 'headers')
}

const PLAIN: Scene = {
  lines: 20,
  read: Infinity,
  gap: false,
  header: false,
  place: PLACES[0],
  fails: [],
  restarts: [],
}

for (const lines of [20, 500]) {
  for (const read of [0, 7, Infinity]) {
    for (const header of [false, true]) {
      void test(`copytruncate of ${lines} lines, ${read} of them read, ${header ? 'with' : 'without'} a header`, async () => {
        const scene = { ...PLAIN, lines, read, header }
        const calls = await run(scene, [])
        for (let step = 1; step <= STEPS.length; step++) {
          for (let call = 0; call < calls; call++) {
            // Steps before `step` stand before the first call, those from it on come before this one.
            const at = STEPS.map((_, s) => (s < step - 1 ? 0 : call))
            await run(scene, at).catch((error: Error) => assert.fail(`steps ${at.join()}: ${error.message}`))
          }
        }
      })
    }
  }
}

/** A copy of less than was read, and of less than a head, is recognised only by the life that read it. */
function isCertain({ lines, gap, restarts }: Scene): boolean {
  return !gap || lines > 100 || restarts.length === 0
}

void test('copytruncate at random instants, with lost transactions and restarts', async () => {
  const scenes = fc.record({
    place: fc.constantFrom(...PLACES),
    lines: fc.constantFrom(3, 20, 500),
    read: fc.constantFrom(0, 1, 7, Infinity),
    gap: fc.boolean(),
    header: fc.boolean(),
    fails: fc.array(fc.nat(ROUNDS - 1), { maxLength: 2 }),
    restarts: fc.array(fc.nat(ROUNDS - 1), { maxLength: 2 }),
  })
  const instants = fc
    .array(fc.nat(120), { minLength: STEPS.length, maxLength: STEPS.length })
    .map((at) => at.sort((a, b) => a - b))
  await fc.assert(
    fc.asyncProperty(scenes.filter(isCertain), instants, async (scene, at) => void (await run(scene, at))),
    { numRuns: Number(process.env['MILLRACE_RUNS'] ?? 500) },
  )
})
