import { basename, dirname, isAbsolute, relative } from 'node:path'
import { type Document, isMap, parseDocument, YAMLMap, YAMLSeq } from 'yaml'
import { parseConfig } from '../config/index.ts'
import { UserError } from '../errors.ts'
import type { Recognised } from './recognise.ts'

const NEW_FILE = `# Written by millrace init. The names below are placeholders: set your own before you deploy.
project: my-project
dataset: logs
bucket: my-project-logs
kafka:
  brokers: [127.0.0.1:9092] # npm start puts its own broker here
`

/** What a rotation, a compression or a kind of content adds to the name of a log. */
const ENDINGS = /(?:\.(?:gz|zst|zstd|log|jsonl|ndjson|json|txt|\d+)|[-._](?:\d{8}|\d{4}-\d\d-\d\d))$/i

/** The name of a route for a log: `/var/log/nginx/access.log.2.gz` gives `access`. */
export function routeNameOf(file: string): string {
  const plain = basename(stemOf(file)).replaceAll(/[^A-Za-z0-9_-]+/g, '-')
  return plain.replace(/^[^A-Za-z]+/, '').slice(0, 63) || 'log'
}

function stemOf(file: string): string {
  const stem = file.replace(ENDINGS, '')
  return stem === file || basename(stem) === '' ? file : stemOf(stem)
}

/** What the agent is to follow. Copies of one log are one log: two that hand files to each other would read them twice. */
function logPaths(files: readonly string[]): string[] {
  return [...Map.groupBy(files, stemOf).values()].map(([first = '', ...others]) => {
    const common = others.reduce((prefix, file) => commonStart(prefix, file), first)
    return others.length > 0 ? `${common}*` : first
  })
}

function commonStart(a: string, b: string): string {
  const end = [...a].findIndex((letter, index) => letter !== b[index])
  return end < 0 ? a : a.slice(0, end)
}

/** A route to be written into a configuration. */
export interface NewRoute {
  readonly name: string
  /** The logs that it is for. */
  readonly files: readonly string[]
  readonly recognised: Recognised
}

/** Where a route's schema is, from the folder of the configuration. */
export const schemaPathOf = (name: string): string => `schemas/${name}.json`

/**
 * The text of a configuration with one more route and its logs; what was there stays, comments too.
 * @param text undefined: there is no such file yet
 * @throws UserError when the route is there already (unless `force`), or the result is no valid configuration
 */
export function addRoute(text: string | undefined, file: string, route: NewRoute, force: boolean): string {
  if (text !== undefined) parseConfig(text, file)
  const document = parseDocument(text ?? NEW_FILE)
  const path = ['routes', route.name]
  if (document.hasIn(path) && !force)
    throw new UserError(
      `${file}: there is a route ${route.name} already`,
      'choose another name with --route, or --force',
    )
  for (const key of [['routes'], ['agent']]) if (!isMap(document.getIn(key))) document.setIn(key, new YAMLMap())
  document.setIn(path, document.createNode(routeOf(route, document)))
  if (!document.hasIn(['agent', 'logs'])) document.setIn(['agent', 'logs'], new YAMLSeq())
  const { agent } = document.toJS() as { agent: { logs: { path: string; route: string }[] } }
  for (const log of logPaths(route.files)) {
    const entry = { path: pathFrom(dirname(file), log), route: route.name }
    const known = agent.logs.some((other) => other.path === entry.path && other.route === entry.route)
    if (!known) document.addIn(['agent', 'logs'], document.createNode(entry, { flow: true }))
  }
  const result = document.toString({ lineWidth: 0 })
  parseConfig(result, file)
  return result
}

function routeOf({ name, recognised }: NewRoute, document: Document): object {
  const { kind, fields, partition, cluster } = recognised
  const flow = (value: object) => document.createNode(value, { flow: true })
  return {
    ...(document.has('kafka') ? { topic: name } : {}),
    ...(fields.length > 0 ? { schema: schemaPathOf(name) } : {}),
    ...(kind === 'json' ? {} : { format: 'text', preset: kind }),
    table: name.replaceAll('-', '_'),
    partition: flow(partition),
    ...(cluster.length > 0 ? { cluster: flow(cluster) } : {}),
  }
}

function pathFrom(folder: string, file: string): string {
  const path = relative(folder, file)
  return path.startsWith('..') || isAbsolute(path) ? file : path
}
