import { createHash } from 'node:crypto'
import {
  accessSync,
  closeSync,
  constants,
  createReadStream,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { type Config, type Route, tableId } from '../../shared/config/index.ts'
import { messageOf, UserError } from '../../shared/errors.ts'
import { createCutter, cutEvents, framingOf, isDamage } from '../../shared/framing/index.ts'
import type { Feed } from './feed.ts'

/** A log of the user's own, fed instead of the sample's. It is complete. */
export interface OwnLog {
  readonly file: string
  readonly route: string
}

/** A file that was fed: how many events it had, and a hash of them. */
interface Fed {
  readonly events: number
  readonly hash: string
}

/** What was fed into each table. */
type Tally = Record<string, readonly Fed[]>

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
    if (isUtf16(file)) throw new Error('it is in UTF-16; convert it: iconv -f UTF-16 -t UTF-8')
  } catch (error) {
    throw new UserError(`cannot read ${file}: ${messageOf(error)}`, fix)
  }
}

/** By its byte order mark. */
function isUtf16(file: string): boolean {
  const head = Buffer.alloc(2)
  const fd = openSync(file, 'r')
  readSync(fd, head)
  closeSync(fd)
  return ['fffe', 'feff'].includes(head.toString('hex'))
}

/** How many events all files had that were fed into tables of this configuration. */
export function ownTally(folder: string, config: Config): number {
  const tally = readTally(folder)
  const tables = new Set(Object.values(config.routes).map(({ table }) => tableId(table)))
  const counts = [...tables].flatMap((table) => tally[table] ?? [])
  return counts.reduce((sum, { events }) => sum + events, 0)
}

/** Counts the file's events by its framing alone, beside the pipeline, and keeps the tally in the folder. */
export function countOwnLog(folder: string, config: Config, ownLog: OwnLog, signal: AbortSignal): Feed {
  const route = config.routes[ownLog.route]
  if (!route) throw new Error(`no route ${ownLog.route}`)
  const path = resolve(ownLog.file)
  const table = tableId(route.table)
  const earlier = readTally(folder)[table] ?? []
  /** A file that begins as this one is this one: it has grown, was copied or is fed again. */
  const same = new Set<Fed>()
  let fed = 0
  const count = async () => {
    const hash = createHash('sha256')
    for await (const { buffer, events } of cutEvents(createReadStream(path), cutterOf(route, config))) {
      if (signal.aborted) return
      for (let i = 0; i < events.count; i++) {
        hash.update(buffer.subarray(events.valueStart[i], events.valueEnd[i])).update('\n')
        fed++
        const reached = earlier.filter((other) => other.events === fed)
        for (const other of reached) if (other.hash === hash.copy().digest('hex')) same.add(other)
      }
    }
    const rest = earlier.filter((other) => !same.has(other))
    if (fed > 0) note(folder, table, [...rest, { events: fed, hash: hash.digest('hex') }])
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
  return createCutter(framingOf(route, config.agent.max_event_bytes), 0)
}

const fileOf = (folder: string) => join(folder, 'own-logs.json')

function readTally(folder: string): Tally {
  return existsSync(fileOf(folder)) ? (JSON.parse(readFileSync(fileOf(folder), 'utf8')) as Tally) : {}
}

function note(folder: string, table: string, fed: readonly Fed[]): void {
  const tally = { ...readTally(folder), [table]: fed }
  writeFileSync(`${fileOf(folder)}.new`, JSON.stringify(tally))
  renameSync(`${fileOf(folder)}.new`, fileOf(folder))
}
