/** What a chunk's name is made of. */
export interface ChunkName {
  readonly route: string
  /** Milliseconds; the day (UTC) of the source's first read. */
  readonly firstReadMs: number
  readonly agent: string
  readonly source: string
  /** 0 for the source itself, 1 and on for what was written to it after it was finished. */
  readonly part: number
  readonly format: string
}

/** `<route>/<yyyy>/<mm>/<dd>/<agent>/<source>[-<n>].<format>.zst` */
export function chunkName({ route, firstReadMs, agent, source, part, format }: ChunkName): string {
  const day = new Date(firstReadMs).toISOString().slice(0, 10).replaceAll('-', '/')
  return `${route}/${day}/${agent}/${source}${part > 0 ? `-${part}` : ''}.${format}.zst`
}

const NAME = /^([^/]+)\/(\d{4})\/(\d{2})\/(\d{2})\/([^/]+)\/([a-z2-7]{26}(?:~\d+)?)(?:-(\d+))?\.([a-z]+)\.zst$/

/** The parts of a chunk's name; undefined for any other object's. */
export function parseChunkName(name: string): ChunkName | undefined {
  const match = NAME.exec(name)
  if (!match) return undefined
  const [, route = '', year, month, day, agent = '', source = '', part = '0', format = ''] = match
  const firstReadMs = Date.parse(`${year}-${month}-${day}T00:00:00Z`)
  return Number.isNaN(firstReadMs) ? undefined : { route, firstReadMs, agent, source, part: Number(part), format }
}
