import { createHash } from 'node:crypto'
import {
  accessSync,
  constants,
  createReadStream,
  existsSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { type Config, type Route, tableId } from '../../shared/config/index.ts'
import { messageOf, UserError } from '../../shared/errors.ts'
import { createCutter, cutEvents, isDamage } from '../../shared/framing/index.ts'
import type { Feed } from './feed.ts'

/** A log of the user's own, fed instead of the sample's. It is complete. */
export interface OwnLog {
  readonly file: string
  readonly route: string
}

/** For each table, for each file that was fed into it: its events. A file is its path and its first event. */
type Tally = Record<string, Record<string, number>>

/** Before anything is started. @throws UserError */
export function requireOwnLog(config: Config, { file, route }: OwnLog): void {
  if (!config.routes[route])
    throw new UserError(
      `${config.file}: there is no route ${route}`,
      `use one of: ${Object.keys(config.routes).join(', ')}`,
    )
  const fix = 'name a file that can be read with --log FILE'
  try {
    if (!statSync(file).isFile()) throw new Error('it is not a file')
    accessSync(file, constants.R_OK)
  } catch (error) {
    throw new UserError(`cannot read ${file}: ${messageOf(error)}`, fix)
  }
}

/** How many events all files had that were fed into tables of this configuration. */
export function ownTally(folder: string, config: Config): number {
  const tally = readTally(folder)
  const tables = new Set(Object.values(config.routes).map(({ table }) => tableId(table)))
  const counts = [...tables].flatMap((table) => Object.values(tally[table] ?? {}))
  return counts.reduce((sum, count) => sum + count, 0)
}

/** Counts the file's events by its framing alone, beside the pipeline, and keeps the tally in the folder. */
export function countOwnLog(folder: string, config: Config, ownLog: OwnLog, signal: AbortSignal): Feed {
  const route = config.routes[ownLog.route]
  if (!route) throw new Error(`no route ${ownLog.route}`)
  const path = resolve(ownLog.file)
  let fed = 0
  const count = async () => {
    let first: string | undefined
    for await (const { buffer, events } of cutEvents(createReadStream(path), cutterOf(route, config))) {
      if (signal.aborted) return
      first ??= createHash('sha256').update(buffer.subarray(events.valueStart[0], events.valueEnd[0])).digest('hex')
      fed += events.count
    }
    if (first !== undefined) note(folder, tableId(route.table), `${path} ${first}`, fed)
  }
  const done = count().catch((error: unknown) => {
    throw isDamage(error) ? new UserError(`${path} is damaged: ${messageOf(error)}`, 'feed a whole copy') : error
  })
  done.catch(() => undefined) // told by whoever asks for the number
  let isNoted = false
  void done.then(
    () => (isNoted = true),
    () => undefined,
  )
  const before = ownTally(folder, config)
  return {
    written: () => Promise.resolve(isNoted ? ownTally(folder, config) : Math.max(before, fed)),
    stop: () => done,
  }
}

function cutterOf(route: Route, config: Config) {
  return createCutter({ kind: route.framing, maxEventBytes: config.agent.max_event_bytes }, 0)
}

const fileOf = (folder: string) => join(folder, 'own-logs.json')

function readTally(folder: string): Tally {
  return existsSync(fileOf(folder)) ? (JSON.parse(readFileSync(fileOf(folder), 'utf8')) as Tally) : {}
}

function note(folder: string, table: string, file: string, events: number): void {
  const tally = readTally(folder)
  tally[table] = { ...tally[table], [file]: events }
  writeFileSync(`${fileOf(folder)}.new`, JSON.stringify(tally))
  renameSync(`${fileOf(folder)}.new`, fileOf(folder))
}
