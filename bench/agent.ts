import {
  appendFileSync,
  closeSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { bundleAgent, ROOT } from '../infra/packages/bundle.ts'
import { nativeCrc32 } from '../infra/packages/deb.ts'
import { createTopics, startKafka } from '../local/kafka/index.ts'
import { connectKafka, joinGroup, topicOffsets } from '../shared/kafka/index.ts'
import { seekCommits } from '../test/support/consume.ts'
import { CONTESTANTS, type Contestant, type Task } from './peers/contestants.ts'
import { checkLines, line, LINE_BYTES, type Checked } from './peers/lines.ts'
import type { Measured } from './peers/processes.ts'
import { Result } from './result.ts'

/**
 * `npm run bench -- agent [--size 500M] [--backlog 2G] [--only TEXT] [--parts drain,paced,idle,latency,backlog,many]
 * [--sources] [--check]`: the agent, as it is packaged, beside those that people use: the same file, the same real broker, one after the
 * other in one run.
 * A contestant runs and waits before its file comes, so start-up counts for nobody; the time ends with the last line
 * readable in the topic, the CPU is that of the contestant's process. `--check`: exit 1 when a bar of issue 7 is missed.
 */

const PARTITIONS = 4
const POLL_MS = 20
/** No new record for so long after the last line: it was the last one. */
const SETTLED_MS = 600
const STALLED_MS = 60_000
const TICK_MS = 100
const EVENTS_A_TICK = 2000
const PACED_SECONDS = 10
const IDLE_FILES = 100
const IDLE_SECONDS = 10
const LATENCY_LINES = 100
const MANY_FILES = 1000
const MANY_ROTATIONS_A_SECOND = 50
const MANY_SECONDS = 30
/** Rotated files are deleted when so many newer ones are there. */
const MANY_KEPT = 250

const { values: options } = parseArgs({
  options: {
    size: { type: 'string', default: '500M' },
    backlog: { type: 'string', default: '2G' },
    only: { type: 'string', default: '' },
    parts: { type: 'string', default: 'drain,paced,idle,latency,backlog,many' },
    sources: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
  },
})
const BYTES = bytesOf(options.size)
const result = new Result('agent')
const root = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
const kafka = await startKafka({ dataDir: root, javaOptions: ['-Xmx1g', '-XX:TieredStopAtLevel=4'] })
const millrace = options.sources ? join(ROOT, 'cli/main.ts') : (await bundleAgent({ outDir: root })).file
if (!options.sources) copyFileSync(nativeCrc32(), join(root, 'crc32.node')) // as the package does
const client = connectKafka({ brokers: [kafka.brokers], auth: 'none', tls: false }, 'bench')
try {
  say(`${kafka.name}, Node ${process.version}, lines of ${LINE_BYTES} bytes, ${PARTITIONS} partitions`)
  const taking = CONTESTANTS.filter(({ name }) => name.includes(options.only))
  for (const { name, missing } of taking) if (missing()) say(`not here: ${name}: ${missing()}`)
  const present = taking.filter(({ missing }) => !missing())
  const parts = options.parts.split(',')
  if (parts.includes('drain')) await drainAll(present)
  const followers = present.filter(({ follows }) => follows)
  if (parts.includes('paced')) await pacedAll(followers)
  if (parts.includes('idle')) await idleAll(followers)
  if (parts.includes('latency')) await latencyAll(followers)
  if (parts.includes('backlog')) await backlog(present)
  if (parts.includes('many')) await many(present)
} finally {
  await client.close()
  await kafka.stop()
  rmSync(root, { recursive: true, force: true, maxRetries: 3 })
}
result.end(options.check)

interface Drained {
  readonly rate: number
  readonly cpuPerMillion: number
  readonly megabytes: number
  readonly checked: Checked | undefined
}

async function drainAll(contestants: readonly Contestant[]): Promise<void> {
  const file = join(root, 'lines')
  const lines = writeLines(file, BYTES)
  say(`\ndrain of one file, ${lines} lines, ${Math.round(BYTES / 1e6)} MB`)
  say(`${''.padEnd(42)}   lines/s    s/M  peak MB   lost  doubled  load`)
  const figures = new Map<string, Drained>()
  for (const contestant of contestants) {
    const figure = await attempt(contestant, () => drain(contestant, file, lines))
    if (!figure) continue
    figures.set(contestant.name, figure)
    const { rate, cpuPerMillion, megabytes, checked } = figure
    result.figure(`${contestant.name}: lines/s`, rate)
    result.figure(`${contestant.name}: CPU seconds a million lines`, cpuPerMillion)
    const [lost, doubled] = checked ? [checked.lost, checked.doubled] : ['?', '?']
    say(
      `${contestant.name.padEnd(42)}${thousands(rate)}${cpuPerMillion.toFixed(2).padStart(7)}${megabytes.toFixed(0).padStart(9)}${`${lost}`.padStart(7)}${`${doubled}`.padStart(9)}  ${loadavg()[0]?.toFixed(1)}`,
    )
  }
  judgeDrain(figures)
}

function judgeDrain(figures: ReadonlyMap<string, Drained>): void {
  const bars = { none: 700_000, zstd: 800_000 }
  const agents = [...figures].filter(([name]) => !name.startsWith('millrace') && !name.startsWith('librdkafka'))
  const best = Math.max(0, ...agents.map(([, { rate }]) => rate))
  for (const [compression, lowest] of Object.entries(bars)) {
    const figure = figures.get(`millrace, ${compression}`)
    if (!figure) continue
    result.bar(`lines/s, ${compression}`, figure.rate, 'at least', lowest)
    result.bar(`lines/s, ${compression}, best other agent`, figure.rate, 'at least', best)
    result.bar(`CPU seconds a million lines, ${compression}`, figure.cpuPerMillion, 'at most', 1)
    result.bar(
      `lost and doubled, ${compression}`,
      (figure.checked?.lost ?? 0) + (figure.checked?.doubled ?? 0),
      'at most',
      0,
    )
  }
}

async function drain(contestant: Contestant, file: string, lines: number): Promise<Drained> {
  const task = await newTask(contestant)
  if (!contestant.follows) linkSync(file, join(task.folder, 'logs', 'app.log'))
  const agent = contestant.start(task)
  try {
    if (contestant.follows) await agent.untilQuiet()
    const [cpu, begun] = [contestant.follows ? agent.cpuSeconds() : 0, performance.now()]
    if (contestant.follows) linkSync(file, join(task.folder, 'logs', 'app.log'))
    const { endedAt, cpuSeconds, megabytes } = await untilCarried(task.topic, lines, agent)
    const checked = await checkLines(task, lines)
    return {
      rate: (lines / (endedAt - begun)) * 1000,
      cpuPerMillion: ((cpuSeconds - cpu) / lines) * 1e6,
      megabytes,
      checked,
    }
  } finally {
    await agent.stop()
    rmSync(task.folder, { recursive: true })
  }
}

/** Until the topic has that many records, and no more are coming. */
async function untilCarried(topic: string, lines: number, agent: Measured) {
  let [before, endedAt, cpuSeconds, megabytes] = [-1, performance.now(), 0, 0]
  for (;;) {
    const end = (await topicOffsets(client, [topic])).reduce((sum, { end }) => sum + end, 0)
    const now = performance.now()
    if (end !== before) endedAt = now
    else if (end >= lines && now - endedAt > SETTLED_MS) return { endedAt, cpuSeconds, megabytes }
    else if (now - endedAt > STALLED_MS) throw new Error(`${end} of ${lines} lines have come, and no more are coming`)
    // A process that has done its work may end: the last look counts.
    if (agent.running && (end < lines || end !== before))
      [cpuSeconds, megabytes] = [agent.cpuSeconds(), agent.peakMegabytes() || megabytes]
    before = end
    await delay(POLL_MS)
  }
}

async function pacedAll(contestants: readonly Contestant[]): Promise<void> {
  say(`\n${EVENTS_A_TICK} events each ${TICK_MS} ms for ${PACED_SECONDS} s: part of one core`)
  for (const contestant of contestants) {
    const share = await attempt(contestant, () => paced(contestant))
    if (share === undefined) continue
    say(`${contestant.name.padEnd(42)}${(share * 100).toFixed(1).padStart(10)} %`)
    result.figure(`${contestant.name}: % of a core, paced`, share * 100)
    if (contestant.exactlyOnce) result.bar(`% of a core at that pace, ${contestant.name}`, share * 100, 'at most', 8)
  }
}

async function paced(contestant: Contestant): Promise<number> {
  return running(contestant, 1, async (agent, { folder }) => {
    const file = join(folder, 'logs', '0.log')
    let number = 1
    const warmUpTicks = 20
    let [cpu, begun] = [0, 0]
    for (let tick = 0; tick < warmUpTicks + (PACED_SECONDS * 1000) / TICK_MS; tick++) {
      if (tick === warmUpTicks) [cpu, begun] = [agent.cpuSeconds(), performance.now()]
      const piece = Buffer.concat(Array.from({ length: EVENTS_A_TICK }, () => line(number++)))
      const until = performance.now() + TICK_MS
      appendFileSync(file, piece)
      await delay(Math.max(0, until - performance.now()))
    }
    return ((agent.cpuSeconds() - cpu) / (performance.now() - begun)) * 1000
  })
}

async function idleAll(contestants: readonly Contestant[]): Promise<void> {
  say(`\nidle, ${IDLE_FILES} files, ${IDLE_SECONDS} s: part of one core, memory`)
  for (const contestant of contestants) {
    const figure = await attempt(contestant, () => idle(contestant))
    if (!figure) continue
    const { share, megabytes } = figure
    say(`${contestant.name.padEnd(42)}${(share * 100).toFixed(2).padStart(10)} %${megabytes.toFixed(0).padStart(7)} MB`)
    if (!contestant.exactlyOnce) continue
    result.bar(`% of a core idle, ${contestant.name}`, share * 100, 'below', 1)
    result.bar(`MB idle, ${contestant.name}`, megabytes, 'below', 90)
  }
}

async function idle(contestant: Contestant): Promise<{ share: number; megabytes: number }> {
  return running(contestant, IDLE_FILES, async (agent) => {
    const [cpu, begun] = [agent.cpuSeconds(), performance.now()]
    await delay(IDLE_SECONDS * 1000)
    const share = ((agent.cpuSeconds() - cpu) / (performance.now() - begun)) * 1000
    return { share, megabytes: agent.residentMegabytes() }
  })
}

async function latencyAll(contestants: readonly Contestant[]): Promise<void> {
  say(`\nline written to record readable, ${LATENCY_LINES} lines: median and 95th percentile`)
  for (const contestant of contestants) {
    const times = await attempt(contestant, () => latency(contestant))
    if (!times) continue
    const [median = 0, late = 0] = [0.5, 0.95].map((part) => times[Math.floor(times.length * part)])
    say(`${contestant.name.padEnd(42)}${median.toFixed(0).padStart(10)} ms${late.toFixed(0).padStart(7)} ms`)
    if (contestant.exactlyOnce) result.bar(`ms to readable, median, ${contestant.name}`, median, 'below', 50)
  }
}

async function latency(contestant: Contestant): Promise<number[]> {
  return running(contestant, 1, async (_agent, { folder, topic }) => {
    const seen = new Map<number, number>()
    const group = await joinGroup(
      client,
      { groupId: `${topic}-latency`, topics: [topic] },
      {
        assigned: seekCommits,
        batch: (_membership, batch) => {
          const now = performance.now()
          const note = () =>
            batch.visit(0, ({ buffer, valueStart, valueEnd }) => {
              seen.set(Number.parseInt(buffer.toString('latin1', valueStart, valueEnd), 10), now)
            })
          void batch.ready().then(note)
        },
        stopped: () => undefined,
        revoking: async () => undefined,
      },
    )
    await until(() => seen.has(0))
    const times: number[] = []
    for (let number = 1; number <= LATENCY_LINES; number++) {
      const written = performance.now()
      appendFileSync(join(folder, 'logs', '0.log'), line(number))
      await until(() => seen.has(number))
      times.push((seen.get(number) ?? 0) - written)
      await delay(20 + Math.random() * 100)
    }
    await group.close()
    return times.sort((a, b) => a - b)
  })
}

/** Memory does not grow with what there is to carry. */
async function backlog(contestants: readonly Contestant[]): Promise<void> {
  const contestant = contestants.find(({ name }) => name === 'millrace, zstd')
  if (!contestant) return
  const file = join(root, 'backlog')
  const bytes = bytesOf(options.backlog)
  const lines = writeLines(file, bytes)
  const { rate, megabytes, checked } = await drain(contestant, file, lines)
  result.figure('backlog: lines/s', rate)
  result.bar('lost and doubled, backlog', (checked?.lost ?? 0) + (checked?.doubled ?? 0), 'at most', 0)
  say(`\nbacklog of ${options.backlog}: ${Math.round(rate / 1000)} k lines/s, peak ${megabytes.toFixed(0)} MB`)
  result.bar('MB at most while draining a backlog', megabytes, 'below', 128)
}

/** Many sources, some of them rotated each second by rename and create: memory does not grow, no line is lost. */
async function many(contestants: readonly Contestant[]): Promise<void> {
  const contestant = contestants.find(({ name }) => name === 'millrace, zstd')
  if (!contestant) return
  const { lines, checked, early, late, share } = await running(contestant, MANY_FILES, rotateMany)
  say(
    `\n${MANY_FILES} open sources, ${MANY_ROTATIONS_A_SECOND} rotations a second for ${MANY_SECONDS} s, ${lines} lines:`,
  )
  say(`${early.toFixed(0)} MB at the third, ${late.toFixed(0)} MB at the end, ${(share * 100).toFixed(0)} % of a core`)
  if (checked) say(`lost ${checked.lost}, doubled ${checked.doubled}`)
  result.bar('lost and doubled, many sources', (checked?.lost ?? 0) + (checked?.doubled ?? 0), 'at most', 0)
  result.bar('growth of memory, many sources', late / early, 'at most', 1.15)
}

async function rotateMany(agent: Measured, task: Task) {
  const path = (file: number) => join(task.folder, 'logs', `${file % MANY_FILES}.log`)
  const [cpu, begun] = [agent.cpuSeconds(), performance.now()]
  let [lines, early] = [MANY_FILES, 0]
  for (let turn = 0; turn < MANY_SECONDS * MANY_ROTATIONS_A_SECOND; turn++) {
    appendFileSync(path(turn), line(lines++))
    rmSync(`${path(turn + MANY_FILES - MANY_KEPT)}.1`, { force: true })
    renameSync(path(turn), `${path(turn)}.1`)
    writeFileSync(path(turn), line(lines++))
    if (turn === (MANY_SECONDS * MANY_ROTATIONS_A_SECOND) / 3) early = agent.residentMegabytes()
    await delay(Math.max(0, begun + (turn * 1000) / MANY_ROTATIONS_A_SECOND - performance.now()))
  }
  const share = ((agent.cpuSeconds() - cpu) / (performance.now() - begun)) * 1000
  await untilCarried(task.topic, lines, agent)
  return { lines, checked: await checkLines(task, lines), early, late: agent.residentMegabytes(), share }
}

/** Runs a contestant with this many files of one line each, and waits until it has nothing to do. */
async function running<T>(
  contestant: Contestant,
  files: number,
  measure: (agent: Measured, task: Task) => Promise<T>,
): Promise<T> {
  const task = await newTask(contestant)
  const agent = contestant.start(task)
  try {
    await agent.untilQuiet()
    for (let i = 0; i < files; i++) appendFileSync(join(task.folder, 'logs', `${i}.log`), line(i))
    await until(async () => (await topicOffsets(client, [task.topic])).some(({ end }) => end > 0))
    await agent.untilQuiet()
    return await measure(agent, task)
  } finally {
    await agent.stop()
    rmSync(task.folder, { recursive: true })
  }
}

/** A contestant that fails is reported as that; the others go on. */
async function attempt<T>({ name, exactlyOnce }: Contestant, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    say(`${name.padEnd(42)} failed: ${(error as Error).message}`)
    if (exactlyOnce) result.failed(name)
    return undefined
  }
}

async function newTask({ name }: Contestant): Promise<Task> {
  const topic = `${kafka.topicPrefix}bench-${name.replaceAll(/[^a-z]+/gi, '-')}-${Date.now()}`
  const folder = join(root, topic)
  mkdirSync(join(folder, 'logs'), { recursive: true })
  await createTopics(client, [{ topic, partitions: PARTITIONS }])
  return { folder, brokers: kafka.brokers, topic, millrace }
}

function writeLines(file: string, bytes: number): number {
  const lines = Math.floor(bytes / LINE_BYTES)
  const fd = openSync(file, 'w')
  for (let from = 0; from < lines; from += 5000) {
    writeSync(fd, Buffer.concat(Array.from({ length: Math.min(5000, lines - from) }, (_, i) => line(from + i))))
  }
  closeSync(fd)
  return lines
}

async function until(is: () => boolean | Promise<boolean>): Promise<void> {
  for (const begun = performance.now(); !(await is()); await delay(1))
    if (performance.now() - begun > STALLED_MS) throw new Error('nothing has come for a minute')
}

function bytesOf(text: string): number {
  const [, number = '', unit = ''] = /^([\d.]+)([kMG]?)$/.exec(text) ?? []
  const scale = { '': 1, k: 1e3, M: 1e6, G: 1e9 }[unit]
  if (!number || !scale) throw new Error(`${text} is no size; write 500M or 10G`)
  return Number(number) * scale
}

function thousands(rate: number): string {
  return `${Math.round(rate / 1000)} k`.padStart(10)
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
