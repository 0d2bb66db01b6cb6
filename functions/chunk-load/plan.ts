import { type ChunkMetadata, decodeMetadata, type ObjectView } from '../../shared/chunks/index.ts'
import type { Config, Route } from '../../shared/config/index.ts'
import { messageOf } from '../../shared/errors.ts'

/** What is to be loaded from an object; `size` is infinite where only the object's end tells. */
export interface Plan extends Pick<ChunkMetadata, 'source' | 'start' | 'size' | 'ranges'> {
  readonly route: Route
  /** Undefined: a foreign object. */
  readonly chunk: ChunkMetadata | undefined
}

/** The plan for an object; or why it is none of ours, or what is broken in an agent's metadata. */
export function planOf(object: ObjectView, config: Config): Plan | { notOurs: string } | { broken: string } {
  try {
    const chunk = decodeMetadata(object.metadata)
    if (!chunk) return planForeign(object, config)
    const route = Object.hasOwn(config.routes, chunk.route) ? config.routes[chunk.route] : undefined
    if (!route) return { notOurs: `route ${chunk.route} is not in ${config.file}` }
    return { route, source: chunk.source, start: chunk.start, size: chunk.size, ranges: chunk.ranges, chunk }
  } catch (error) {
    return { broken: messageOf(error) }
  }
}

/** An object that no agent wrote belongs to the route with the longest prefix; overwritten, it is a new source. */
function planForeign(object: ObjectView, config: Config): Plan | { notOurs: string } {
  const [route] = Object.values(config.routes)
    .filter(({ prefix }) => prefix !== undefined && object.name.startsWith(prefix))
    .sort((a, b) => (b.prefix?.length ?? 0) - (a.prefix?.length ?? 0))
  if (!route || object.name.endsWith('/')) return { notOurs: 'no route has a prefix of its name' }
  const source = `${object.name}#${object.generation}`
  return { route, source, start: 0, size: Infinity, ranges: [[0, Infinity]], chunk: undefined }
}
