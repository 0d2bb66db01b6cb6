import assert from 'node:assert/strict'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { type Followed, Follower, LogPattern, Scratch } from '../../agent/follow/index.ts'
import type { Entry } from '../../agent/publish/index.ts'
import { Events } from '../../shared/framing/index.ts'

/**
 * Every instant of a rotation against every instant of the agent: each call of the file system that the follower
 * makes may have any step of the rotation before it (docs/protocols/agent-positions.md, "A look is not an instant").
 */

/** The steps of a rotation, in their order, with an append where a writer may come between. */
const STEPS = {
  copytruncate: ['append', 'create copy', 'copy 50', 'copy half', 'copy', 'gap', 'truncate', 'regrow', 'outgrow'],
  // Twice: the second time the names of the first are those of other files.
  compress: [
    ...['append', 'rename', 'regrow', 'create gz', 'gz 1', 'gz half', 'gz', 'remove', 'append', 'outgrow'],
    ...['shift gz', 'rename', 'regrow', 'create gz', 'gz 1', 'gz half', 'gz', 'remove', 'append'],
  ],
  delaycompress: [
    ...['append', 'rename', 'regrow', 'outgrow', 'shift', 'rename', 'regrow', 'create gz 2', 'gz 1', 'gz half', 'gz'],
    ...['remove 2', 'append'],
  ],
} as const
type Step = (typeof STEPS)[keyof typeof STEPS][number]

const PLACES = [
  { pattern: 'app.log*', copy: 'app.log.1' },
  { pattern: 'app.log', copy: 'app.log.1' },
  { pattern: '**/*.log*', copy: 'old/app.log-20261123' },
] as const

interface Scene {
  readonly how: How
  /** Lines in the log before the rotation, and how many of them the agent has read by then. */
  readonly lines: number
  readonly read: number
  /** A line is written between the copy and the truncation: it is lost for everybody who has not read it by then. */
  readonly gap: boolean
  /** Each file begins with the same line. */
  readonly header: boolean
  readonly place: (typeof PLACES)[number]
  /** Between restarts only what was touched is looked at; so many names are not yet known of then. Absent: everything is. */
  readonly late: number | undefined
  /** Transactions fail, or the agent is killed, before these of its rounds. */
  readonly fails: readonly number[]
  readonly restarts: readonly number[]
}

const CALLS = ['statSync', 'readdirSync', 'openSync', 'readSync', 'fstatSync'] as const
const ROUNDS = 6
const GONE_ROUNDS = 3
/** Longer than any scene. */
const GLANCE_MS = 60_000

/** The disk of one scene. `before` is called before each call that the agent makes. */
class Disk {
  readonly folder = real.mkdtempSync(join(tmpdir(), 'millrace-copytruncate-'))
  readonly path = join(this.folder, 'app.log')
  readonly copy: string
  readonly scene: Scene
  readonly steps: readonly Step[]
  /** Lines that are lost with the truncation, unless they were read before. */
  readonly lostForAll = new Set<number>()
  count = 0
  /** Files that were begun. */
  files = 0
  step = 0
  copied = 0
  /** Names of which the file system would say that something happened there. */
  readonly touched: string[] = []
  #compressed: Buffer = Buffer.alloc(0)
  #gz = ''

  constructor(scene: Scene) {
    this.scene = scene
    this.steps = STEPS[scene.how]
    this.copy = join(this.folder, scene.place.copy)
    real.mkdirSync(join(this.folder, 'old'))
    this.begin()
    this.append(scene.lines)
  }

  begin(): void {
    this.files++
    if (this.scene.header) real.appendFileSync(this.path, '# the same header\n')
  }

  append(lines: number): void {
    let text = ''
    for (let i = 0; i < lines; i++) text += `line ${this.count++} of this log\n`
    real.appendFileSync(this.path, text)
  }

  /** Does the steps before `end`. */
  advance(end: number): void {
    while (this.step < end) {
      const step = this.steps[this.step++]!
      this.#do(step)
      this.touched.push(...this.#namesIn(step))
    }
  }

  #namesIn(step: Step): readonly string[] {
    if (step === 'rename') return ['app.log', 'app.log.1']
    if (step === 'shift') return ['app.log.1', 'app.log.2']
    if (step === 'shift gz') return ['app.log.1.gz', 'app.log.2.gz']
    if (step === 'remove') return ['app.log.1']
    if (step === 'remove 2') return ['app.log.2']
    if (step.includes('gz')) return [basename(this.#gz)]
    return [step.includes('copy') ? basename(this.copy) : 'app.log']
  }

  #do(step: Step): void {
    const { path, copy } = this
    if (step === 'append') this.append(2)
    else if (step === 'create copy') real.writeFileSync(copy, '')
    else if (step === 'copy 50') this.#copyTo(50)
    else if (step === 'copy half') this.#copyTo(Math.floor(real.statSync(path).size / 2))
    else if (step === 'copy') this.#copyTo(real.statSync(path).size)
    else if (step === 'gap' && this.scene.gap) {
      this.lostForAll.add(this.count)
      this.append(1)
    } else if (step === 'truncate') real.truncateSync(path, 0)
    else if (step === 'regrow') {
      this.begin()
      this.append(1)
    } else if (step === 'outgrow') this.append(this.scene.lines + 20)
    else if (step === 'rename') real.renameSync(path, `${path}.1`)
    else if (step === 'shift') real.renameSync(`${path}.1`, `${path}.2`)
    else if (step === 'shift gz') real.renameSync(`${path}.1.gz`, `${path}.2.gz`)
    else if (step === 'create gz') this.#beginGz(`${path}.1`)
    else if (step === 'create gz 2') this.#beginGz(`${path}.2`)
    else if (step === 'gz 1') this.#writeGz(1)
    else if (step === 'gz half') this.#writeGz(this.#compressed.length / 2)
    else if (step === 'gz') this.#writeGz(this.#compressed.length)
    else if (step === 'remove') real.rmSync(`${path}.1`)
    else if (step === 'remove 2') real.rmSync(`${path}.2`)
  }

  #copyTo(end: number): void {
    const bytes = real.readFileSync(this.path).subarray(this.copied, Math.max(end, this.copied))
    real.appendFileSync(this.copy, bytes)
    this.copied += bytes.length
  }

  #beginGz(original: string): void {
    this.#compressed = gzipSync(real.readFileSync(original))
    this.#gz = `${original}.gz`
    real.writeFileSync(this.#gz, '')
  }

  #writeGz(end: number): void {
    real.appendFileSync(this.#gz, this.#compressed.subarray(real.statSync(this.#gz).size, end))
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
  readonly #gone = new Map<string, number>()
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
      agent: { id: 'a', finish_after: 0 },
      logs: [{ pattern, route: 'lines', framing, complete: false }],
      report: (_about, message) => this.reports.push(message),
    })
    this.follower.adopt([...this.#entries.values()], true)
  }

  /** One look, and one transaction of at most `max` events; it fails, or its positions are kept. */
  async round(max: number, fails: boolean): Promise<void> {
    const { late } = this.#disk.scene
    for (const name of this.#disk.touched.splice(0, this.#disk.touched.length - (late ?? 0))) this.follower.touch(name)
    await (late === undefined ? this.follower.look() : this.follower.glance(GLANCE_MS))
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
      const size = source.finished ? { size: source.progress.position } : {}
      this.#note({ source: source.id, start: 0, retired: false, ...file.inode, ...source.progress, ...size })
    }
    this.#letGo()
  }

  #note(entry: Entry): void {
    this.#entries.set(entry.source, entry)
    this.follower.acknowledge(entry)
  }

  /** What is finished needs no descriptor; what has no file for some rounds with a look at everything is retired. */
  #letGo(): void {
    for (const followed of this.follower.sources.values()) {
      const { source, file } = followed
      if (!source.finished || this.#entries.get(source.id)?.size !== source.progress.position) continue
      source.release()
      if (file.missed > 0) this.follower.drop(followed)
      else file.close()
    }
    if (this.#disk.scene.late !== undefined) return
    for (const entry of this.#entries.values()) {
      const rounds = this.follower.sources.has(entry.source) ? 0 : (this.#gone.get(entry.source) ?? 0) + 1
      this.#gone.set(entry.source, rounds)
      if (rounds === GONE_ROUNDS) this.#note({ ...entry, retired: true })
    }
  }

  async #drain(followed: Followed, limit: number, max: number, taken: string[], changed: Set<Followed>) {
    const { source, file } = followed
    const more = file.encoding === 'plain' && file.seen.size > source.next
    if (source.finished && !more) return true
    const final = this.follower.isFinishable(followed, Date.now())
    for (;;) {
      const drained = { kind: 'drained', atEnd: false } as const // of a compressed file that is not whole yet
      const reading = await source.read(this.#workspace, final ? Infinity : limit, Infinity, final).catch(() => drained)
      if (reading.kind === 'lost') this.follower.lose(followed)
      if (reading.kind === 'drained') {
        source.finished = final && reading.atEnd
        if (source.finished) changed.add(followed)
      }
      if (reading.kind !== 'piece') return reading.kind === 'drained'
      const { bytes, events } = reading
      const count = Math.min(events.count, max - taken.length)
      for (let i = 0; i < count; i++) taken.push(bytes.toString('utf8', events.valueStart[i], events.valueEnd[i]))
      source.accept(reading, count)
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
    disk.advance(disk.steps.length)
    for (let round = 0; round < 5; round++) {
      await carrier.follower.look()
      await carrier.round(Infinity, false)
    }
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
  assert.equal(published.length - numbers.length, disk.scene.header ? disk.files : 0, 'headers')
}

const PLAIN: Scene = {
  how: 'copytruncate',
  lines: 20,
  read: Infinity,
  gap: false,
  header: false,
  place: PLACES[0],
  fails: [],
  restarts: [],
  late: undefined,
}

export type How = keyof typeof STEPS

export const HOWS = Object.keys(STEPS) as How[]

/** A rotation parted in two, at `splits` places: the steps before one stand at the first call, the others come before a later one. */
export async function atEachInstant(how: How, lines: number, read: number, splits: number): Promise<void> {
  const steps = STEPS[how]
  for (const header of [false, true]) {
    const scene = { ...PLAIN, how, lines, read, header }
    const places = steps.length * (await run(scene, Array(steps.length).fill(0)))
    for (let place = 0; place < places; place += Math.ceil(places / splits)) {
      const [step, call] = [place % steps.length, Math.floor(place / steps.length)]
      const at = steps.map((_, s) => (s < step ? 0 : call))
      await run(scene, at).catch((error: Error) =>
        assert.fail(`header ${header}, steps ${at.join()}: ${error.message}`),
      )
    }
  }
}

/** A copy of less than was read, and of less than a head, is recognised only by the life that read it. */
function isCertain({ lines, gap, restarts }: Scene): boolean {
  return !gap || lines > 100 || restarts.length === 0
}

/** Found at random, and mended: the log is truncated when its copy is known and it is not named yet; when it is named and not compared yet. */
const FOUND: readonly [Scene, number[]][] = [
  [{ ...PLAIN, lines: 3, read: 0, late: 0, restarts: [0] }, [0, 0, 0, 0, 0, 0, 16, 16, 16]],
  [{ ...PLAIN, lines: 500, gap: true, place: PLACES[2], restarts: [2, 0] }, [0, 6, 6, 6, 6, 26, 100, 100, 100]],
]

/** Steps at random instants, with lost transactions and restarts. `MILLRACE_RUNS` says how often instead of `runs`. */
export async function atRandomInstants(how: How, runs: number): Promise<void> {
  const scenes = fc.record({
    how: fc.constant(how),
    place: fc.constantFrom(...PLACES),
    lines: fc.constantFrom(3, 20, 500),
    read: fc.constantFrom(0, 1, 7, Infinity),
    gap: fc.boolean(),
    header: fc.boolean(),
    late: fc.option(fc.nat(4), { nil: undefined }),
    fails: fc.array(fc.nat(ROUNDS - 1), { maxLength: 2 }),
    restarts: fc.array(fc.nat(ROUNDS - 1), { maxLength: 2 }),
  })
  const count = STEPS[how].length
  const instants = fc.array(fc.nat(150), { minLength: count, maxLength: count }).map((at) => at.sort((a, b) => a - b))
  await fc.assert(
    fc.asyncProperty(scenes.filter(isCertain), instants, async (scene, at) => void (await run(scene, at))),
    { numRuns: Number(process.env['MILLRACE_RUNS'] ?? runs), examples: FOUND.filter(([scene]) => scene.how === how) },
  )
}
