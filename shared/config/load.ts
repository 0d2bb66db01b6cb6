import { readFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { LineCounter, parseDocument } from 'yaml'
import { messageOf, UserError } from '../errors.ts'
import type { AgentConfig, Config, FileRoute, Route, TableName } from './config.ts'
import { checkMeaning } from './meaning.ts'
import { overridesOf } from './environment.ts'
import { jsonSchema } from './json-schema.ts'
import { configError, type Origin, problemsOf } from './problems.ts'
import { type FileConfig, fileSchema } from './schema.ts'

/** The file of whoever was not told another one, as functions are not. */
const defaultFile = (): string => process.env['MILLRACE_CONFIG'] ?? 'millrace.yaml'

/**
 * Reads, checks and completes a configuration.
 * @throws UserError that lists every problem with file, line, key, value and fix
 */
export function loadConfig(file = defaultFile(), environment: NodeJS.ProcessEnv = process.env): Config {
  const path = resolve(file)
  return parseConfig(read(path), path, environment)
}

/** The same for a text that is already here; `file` says where its relative paths begin. */
export function parseConfig(text: string, file: string, environment: NodeJS.ProcessEnv = {}): Config {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const [broken] = document.errors
  if (broken) {
    const line = broken.linePos?.[0].line ?? 1
    throw new UserError(`${file}:${line}: ${broken.message.split('\n')[0]}`, 'correct the YAML')
  }
  const overrides = overridesOf(jsonSchema(), environment)
  const values = objectOf(document.toJS())
  for (const { path, value } of overrides) put(values, path, value)
  const overridden = new Map(overrides.map(({ path, variable }) => [path.join('.'), variable]))
  return check(values, { file, document, lines, overridden }, stateFolder(environment))
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new UserError(
      `cannot read the configuration ${path}: ${messageOf(error)}`,
      'name the file with --config FILE',
    )
  }
}

type Values = Record<string, unknown>

function objectOf(value: unknown): Values {
  return value !== null && typeof value === 'object' ? (value as Values) : {}
}

function put(values: Values, [key = '', ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) values[key] = value
  else put((values[key] = objectOf(values[key])), rest, value)
}

function check(values: unknown, origin: Origin, state: string): Config {
  const parsed = fileSchema.safeParse(values)
  if (!parsed.success) throw configError(problemsOf(parsed.error, jsonSchema()), origin)
  const problems = checkMeaning(parsed.data)
  if (problems.length > 0) throw configError(problems, origin)
  return complete(parsed.data, origin.file, state)
}

function complete(parsed: FileConfig, file: string, state: string): Config {
  const folder = dirname(file)
  const routes = Object.entries(parsed.routes).map(([name, route]): [string, Route] => {
    return [name, completeRoute(name, route, parsed, folder)]
  })
  return { ...parsed, file, routes: Object.fromEntries(routes), agent: completeAgent(parsed, folder, state) }
}

/** systemd tells a service where its state belongs (systemd.exec(5), StateDirectory=); our package and image do the same. */
function stateFolder(environment: NodeJS.ProcessEnv): string {
  return environment['STATE_DIRECTORY'] || tmpdir()
}

function completeRoute(name: string, route: FileRoute, parsed: FileConfig, folder: string): Route {
  const { table, framing, schema, ...rest } = route
  return {
    ...rest,
    name,
    table: tableName(table, parsed),
    framing: framing ?? (route.format === 'protobuf' ? 'delimited' : 'lines'),
    ...(schema === undefined ? {} : { schema: resolve(folder, schema) }),
  }
}

function tableName(text: string, { project, dataset }: FileConfig): TableName {
  const parts = text.split('.')
  const table = parts.pop() ?? ''
  const ownDataset = parts.pop() ?? dataset
  return { project: parts.length > 0 ? parts.join('.') : project, dataset: ownDataset, table }
}

function completeAgent({ agent }: FileConfig, folder: string, state: string): AgentConfig {
  const id = agent.id ?? (hostname().replaceAll(/[^A-Za-z0-9._-]/g, '-') || 'agent')
  return {
    ...agent,
    id,
    lock_file: agent.lock_file ? resolve(folder, agent.lock_file) : join(state, `millrace-${id}.lock`),
    logs: agent.logs.map((log) => ({ ...log, path: resolve(folder, log.path) })),
  }
}
