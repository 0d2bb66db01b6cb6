import { readFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { LineCounter, parseDocument, type YAMLError } from 'yaml'
import { orUserError, UserError } from '../errors.ts'
import { type AgentConfig, type Config, type FileRoute, type Route, tableName } from './config.ts'
import { checkMeaning, objectOf, type Values } from './meaning.ts'
import { readEnvironment } from './environment.ts'
import { problemsOf, wanted } from './issues.ts'
import { jsonSchema } from './json-schema.ts'
import { configError } from './problems.ts'
import { type FileConfig, fileSchema } from './schema.ts'

/**
 * Reads, checks and completes a configuration.
 * @param given undefined for whoever was not told another file, as functions are not
 * @throws UserError that lists every problem with file, line, key, value and fix
 */
export function loadConfig(given?: string, environment: NodeJS.ProcessEnv = process.env): Config {
  const path = resolve(given ?? process.env['MILLRACE_CONFIG'] ?? 'millrace.yaml')
  return parseConfig(read(path), path, environment)
}

/** The same for a text that is already here; `file` says where its relative paths begin. */
export function parseConfig(text: string, file: string, environment: NodeJS.ProcessEnv = {}): Config {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const [error] = document.errors // what follows it mostly follows from it
  if (error) throw yamlError(error, file)
  const { overrides, strange } = readEnvironment(jsonSchema(), environment, text)
  // A key without a value counts as left out: `consumer:` with all its lines commented out.
  const plain = () => document.toJS({ reviver: (_key, value: unknown) => value ?? undefined }) as unknown
  const values = objectOf(orUserError(plain, file, 'correct the YAML: a text that begins with * wants quotes'))
  for (const { path, value } of overrides) put(values, path, value)
  const parsed = fileSchema.safeParse(values, { error: wanted })
  const problems = [...problemsOf(parsed.error?.issues ?? []), ...checkMeaning(values)]
  if (!parsed.success || problems.length + strange.length > 0)
    throw configError(problems, { file, document, lines, overrides }, strange)
  // systemd tells a service where its state belongs (systemd.exec(5), StateDirectory=); our package and image do the same.
  return complete(parsed.data, file, environment['STATE_DIRECTORY'] || tmpdir())
}

function yamlError({ message, linePos }: YAMLError, file: string): UserError {
  const [what = ''] = message.split(/ at line \d+|; please|\n/)
  return new UserError(`${file}:${linePos?.[0].line ?? 1}: ${what}`, 'correct the YAML')
}

function read(path: string): string {
  const fix = 'name the file with --config FILE, or have one made: millrace init LOGFILE'
  return orUserError(() => readFileSync(path, 'utf8'), `cannot read the configuration ${path}`, fix)
}

function put(values: Values, [key = '', ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) values[key] = value
  else put((values[key] = objectOf(values[key])), rest, value)
}

function complete(parsed: FileConfig, file: string, state: string): Config {
  const folder = dirname(file)
  const routes = Object.entries(parsed.routes).map(([name, route]): [string, Route] => {
    return [name, completeRoute(name, route, parsed, folder)]
  })
  return { ...parsed, file, routes: Object.fromEntries(routes), agent: completeAgent(parsed, folder, state) }
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

function completeAgent({ agent }: FileConfig, folder: string, state: string): AgentConfig {
  const id = agent.id ?? (hostname().replaceAll(/[^A-Za-z0-9._-]|\.(?=\d+$)/g, '-') || 'agent')
  return {
    ...agent,
    id,
    lock_file: agent.lock_file ? resolve(folder, agent.lock_file) : join(state, `millrace-${id}.lock`),
    logs: agent.logs.map((log) => ({ ...log, path: resolve(folder, log.path) })),
  }
}
