import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { openCodec } from '../shared/codec/index.ts'
import { orUserError, UserError } from '../shared/errors.ts'
import { addRoute, countRows, readSample, recognise, routeNameOf, schemaPathOf } from '../shared/recognise/index.ts'
import type { Call, Command } from './command.ts'
import { routeOf } from './route.ts'

export const command: Command = {
  usage: 'FILE...',
  summary: `Recognises logs, proposes a schema and a route for each, and writes them.
JSON lines, Apache and nginx access logs, logfmt; the route goes into the configuration, the schema into schemas/ beside it. Rotated
and compressed copies of a log count as one. Nothing that is there is overwritten without --force.`,
  options: {
    route: { value: 'NAME', help: "the route's name, for all files (default: from each file's name)" },
    required: { help: 'columns that every event of the sample has become REQUIRED' },
    force: { help: 'replaces a route and a schema of that name' },
  },
  async run(call) {
    const logs = Map.groupBy(call.arguments, (file) => call.text('route') ?? routeNameOf(file))
    for (const [name, files] of logs) process.stdout.write(await initRoute(call, name, files))
  },
}

async function initRoute(call: Call, name: string, files: readonly string[]): Promise<string> {
  const configFile = resolve(call.file)
  const lines = (await Promise.all(files.map(readSample))).flat()
  const recognised = recognise(lines, { where: files.join(', '), required: call.flag('required') })
  const route = { name, files: files.map((file) => resolve(file)), recognised }
  const mayUse = <T>(use: () => T, path: string) => orUserError(use, path, 'name a file that may be read and written')
  const before = existsSync(configFile) ? mayUse(() => readFileSync(configFile, 'utf8'), call.file) : undefined
  const text = addRoute(before, configFile, route, call.flag('force'))
  const schemaPath = recognised.fields.length > 0 ? schemaPathOf(name) : undefined
  if (schemaPath) mayUse(() => writeSchema(join(dirname(configFile), schemaPath), recognised.fields, call), schemaPath)
  mayUse(() => writeFileSync(configFile, text), call.file)
  const rows = countRows(lines, openCodec(routeOf(call.config(), name)))
  return `${files.join(', ')}: ${recognised.kind}; of ${lines.length} lines ${rows} become rows
wrote ${call.file} (route ${name})${schemaPath ? `, ${schemaPath}` : ''}
next: millrace try ${name} ${files[0]} --config ${call.file}
`
}

function writeSchema(file: string, fields: object, call: Call): void {
  if (existsSync(file) && !call.flag('force'))
    throw new UserError(`${file} is there already`, 'choose another name with --route, or --force')
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify(fields, null, 2)}\n`)
}
