import { existsSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Config, loadConfig, tableId } from '../../shared/config/index.ts'
import type { Feed } from './feed.ts'
import { ownTally } from './own-log.ts'
import type { Supervisor } from './supervisor.ts'
import type { Workspace } from './workspace.ts'

const SHOP = fileURLToPath(new URL('../../examples/shop/server.ts', import.meta.url))
const TRAFFIC = fileURLToPath(new URL('../../examples/shop/traffic.ts', import.meta.url))
export const SAMPLE = fileURLToPath(new URL('../../examples/shop/millrace.yaml', import.meta.url))

/** The sample: an API server that logs, and its visitors. */
export async function startShop(
  supervisor: Supervisor,
  workspace: Workspace,
  config: Config,
  rate: number,
): Promise<Feed> {
  const line = await supervisor.start({ name: 'shop', args: [SHOP, '--logs', workspace.logs], announces: true })
  const { port } = JSON.parse(line) as { port: number }
  const url = `http://127.0.0.1:${port}`
  await supervisor.start({ name: 'traffic', args: [TRAFFIC, '--url', url, '--rate', String(rate)] })
  const others = ownTally(workspace.dataDir, config)
  let last = 0
  const written = async () => {
    const response = await fetch(`${url}/tally`).catch(() => undefined)
    const tally = response ? ((await response.json()) as Record<string, number>) : undefined
    if (tally) last = Object.values(tally).reduce((sum, count) => sum + count, 0)
    return last + others
  }
  const stop = async () => {
    await supervisor.stop('traffic')
    await written()
    await supervisor.stop('shop')
  }
  return { written, stop }
}

/** What the sample wrote in earlier runs into tables that this configuration has too: they count in its proof. */
export function sampleTally(workspace: Workspace, config: Config): number {
  const sample = loadConfig(SAMPLE, {})
  const tables = new Set(Object.values(config.routes).map(({ table }) => tableId(table)))
  const shared = sample.agent.logs.filter(({ route }) => {
    const { table } = sample.routes[route] ?? {}
    return table !== undefined && tables.has(tableId(table))
  })
  const files = shared.map(({ path }) => join(workspace.logs, '.tally', `${basename(path)}.json`)).filter(existsSync)
  return files.reduce((sum, file) => sum + (JSON.parse(readFileSync(file, 'utf8')) as { events: number }).events, 0)
}
