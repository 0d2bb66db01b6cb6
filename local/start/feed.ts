import { createReadStream } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Config } from '../../shared/config/index.ts'
import { UserError } from '../../shared/errors.ts'
import { createCutter, encodingOf, Events, MAGIC_BYTES, openDecompressed } from '../../shared/framing/index.ts'
import type { Supervisor } from './supervisor.ts'
import type { OwnLog, Workspace } from './workspace.ts'

/** Where a run's events come from. */
export interface Feed {
  /** How many events were written since the data folder was made: the writer's own tally. */
  written(): Promise<number>
  /** No more are written; the last files can finish. */
  stop(): Promise<void>
}

const SHOP = fileURLToPath(new URL('../../examples/shop/server.ts', import.meta.url))
const TRAFFIC = fileURLToPath(new URL('../../examples/shop/traffic.ts', import.meta.url))

/** The sample: an API server that logs, and its visitors. */
export async function startShop(supervisor: Supervisor, workspace: Workspace, rate: number): Promise<Feed> {
  const line = await supervisor.start({ name: 'shop', args: [SHOP, '--logs', workspace.logs], announces: true })
  const { port } = JSON.parse(line) as { port: number }
  const url = `http://127.0.0.1:${port}`
  await supervisor.start({ name: 'traffic', args: [TRAFFIC, '--url', url, '--rate', String(rate)] })
  let last = 0
  const written = async () => {
    const response = await fetch(`${url}/tally`).catch(() => undefined)
    const tally = response ? ((await response.json()) as Record<string, number>) : undefined
    if (tally) last = Object.values(tally).reduce((sum, count) => sum + count, 0)
    return last
  }
  const stop = async () => {
    await supervisor.stop('traffic')
    await written()
    await supervisor.stop('shop')
  }
  return { written, stop }
}

/** A file of the user's own, which is complete. */
export async function countOwnLog(config: Config, { file, route: name }: OwnLog): Promise<Feed> {
  const route = config.routes[name]
  if (!route)
    throw new UserError(
      `${config.file}: there is no route ${name}`,
      `use one of: ${Object.keys(config.routes).join(', ')}`,
    )
  const cutter = createCutter({ kind: route.framing, maxEventBytes: config.agent.max_event_bytes }, 0)
  const events = new Events()
  let count = 0
  const cut = (buffer: Buffer, final: boolean): Buffer => {
    let used = 0
    do {
      events.clear()
      used += cutter.cut(buffer, used, buffer.length, final, events)
      count += events.count
    } while (events.count === events.capacity)
    return buffer.subarray(used)
  }
  let rest = Buffer.alloc(0)
  for await (const piece of openDecompressed(file, await encodingOfFile(file)) as AsyncIterable<Buffer>) {
    rest = Buffer.from(cut(Buffer.concat([rest, piece]), false))
  }
  cut(rest, true)
  return { written: () => Promise.resolve(count), stop: () => Promise.resolve() }
}

async function encodingOfFile(file: string) {
  try {
    for await (const head of createReadStream(file, { end: MAGIC_BYTES - 1 }) as AsyncIterable<Buffer>)
      return encodingOf(head)
    return 'plain' as const
  } catch (error) {
    throw new UserError(
      `cannot read ${file}: ${(error as Error).message}`,
      'name a file that can be read with --log FILE',
    )
  }
}
