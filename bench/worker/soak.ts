import { setTimeout as delay } from 'node:timers/promises'
import type { Result } from '../result.ts'
import { cpuSeconds, megabytes, type Worker } from './process.ts'

/** A flow that leaves the machine to others, and once a minute a backlog that the worker takes at its full speed. */
const SOAK = { eventsASecond: 10_000, everyMs: 100, burstEvents: 500_000, burstEveryMs: 60_000 }
const SAMPLE_MS = 10_000
const SAID_EVERY_SAMPLES = 6
const MEGABYTES_MAX = 256
/** The median of the last quarter of the samples, compared with that of the first. */
const GROWTH_MAX = 1.1
/** After the last event. */
const CATCH_UP_WITHIN_MS = 60_000
/** So that an hour of events fills no disk: 1 GB in all, with what waits for the broker's next look. */
export const SOAK_TOPIC = { 'retention.bytes': `${128 * 1024 ** 2}`, 'segment.bytes': `${32 * 1024 ** 2}` }

/** Is the worker's memory flat? Every event must have its row at the end. */
export async function soak(
  worker: Worker,
  send: (most: number) => Promise<number>,
  forMs: number,
  result: Result,
): Promise<void> {
  const samples: number[] = []
  const stop = new AbortController()
  const cpu = cpuSeconds(worker.process)
  const sampling = sample(worker, samples, stop.signal)
  const sent = await publish(send, forMs)
  for (const deadline = Date.now() + CATCH_UP_WITHIN_MS; (await worker.rows()) < sent; await delay(100)) {
    if (Date.now() > deadline) throw new Error(`${await worker.rows()} rows of ${sent} events`)
  }
  stop.abort()
  await sampling
  const quarter = Math.ceil(samples.length / 4)
  const [first, last] = [median(samples.slice(0, quarter)), median(samples.slice(-quarter))]
  const peak = megabytes(worker.process, 'VmHWM')
  result.figure('soak: minutes', forMs / 60_000)
  result.figure('soak: million events', sent / 1e6)
  result.figure('soak: CPU seconds a million', ((cpuSeconds(worker.process) - cpu) / sent) * 1e6)
  result.figure('soak: MB, first quarter', first)
  result.figure('soak: MB, last quarter', last)
  result.bar('soak: MB, peak', peak, 'below', MEGABYTES_MAX)
  result.bar('soak: last / first quarter', last / first, 'at most', GROWTH_MAX)
  const said = [first, last, peak].map((size) => `${size.toFixed(0)} MB`)
  console.log(`${sent} events, ${sent} rows; first quarter ${said[0]}, last quarter ${said[1]}, peak ${said[2]}`)
}

async function publish(send: (most: number) => Promise<number>, forMs: number): Promise<number> {
  const { eventsASecond, everyMs, burstEvents, burstEveryMs } = SOAK
  const begun = performance.now()
  let sent = 0
  let nextBurstMs = burstEveryMs
  for (let atMs = 0; atMs < forMs; atMs += everyMs) {
    await delay(Math.max(0, begun + atMs - performance.now()))
    sent += await send((eventsASecond * everyMs) / 1000)
    if (atMs < nextBurstMs) continue
    nextBurstMs += burstEveryMs
    for (let left = burstEvents; left > 0; ) {
      const count = await send(left)
      left -= count
      sent += count
    }
  }
  return sent
}

async function sample(worker: Worker, samples: number[], signal: AbortSignal): Promise<void> {
  const begun = performance.now()
  while (await delay(SAMPLE_MS, true, { signal }).catch(() => false)) {
    samples.push(megabytes(worker.process, 'VmRSS'))
    if (samples.length % SAID_EVERY_SAMPLES > 0) continue
    const minutes = ((performance.now() - begun) / 60_000).toFixed(0)
    console.log(
      `${minutes.padStart(4)} min ${`${await worker.rows()}`.padStart(10)} rows ${samples.at(-1)?.toFixed(0)} MB`,
    )
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}
