import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import protobuf from 'protobufjs'
import descriptor from 'protobufjs/google/protobuf/descriptor.json' with { type: 'json' }
import { messageOf, UserError } from '../errors.ts'
import { recordFromTableSchema } from './bigquery.ts'
import { recordFromMessage } from './proto.ts'
import { checkRecord, type RecordType } from './record.ts'

const int32 = (id: number) => ({ type: 'int32', id })

/** Files that may be imported without being there. Options are read without their definitions. */
const SHIPPED: Readonly<Record<string, protobuf.INamespace>> = {
  'google/protobuf/descriptor.proto': descriptor,
  'google/type/date.proto': googleType('Date', { year: int32(1), month: int32(2), day: int32(3) }),
  'google/type/timeofday.proto': googleType('TimeOfDay', {
    hours: int32(1),
    minutes: int32(2),
    seconds: int32(3),
    nanos: int32(4),
  }),
}
const OPTION_FILES: readonly string[] = ['bq_field.proto', 'bq_table.proto', 'bq_schema.proto']

function googleType(name: string, fields: Record<string, protobuf.IField>): protobuf.INamespace {
  return { nested: { google: { nested: { type: { nested: { [name]: { fields } } } } } } }
}

/**
 * Reads a route's schema: `FILE.proto#package.Message`, or `FILE.json` with a BigQuery schema.
 * @param baseDir directory that a relative path starts from; imports are looked for from the file's directory upwards
 * @throws UserError that names the file and what is wrong in it
 */
export function loadSchema(reference: string, baseDir: string): RecordType {
  const [path = '', message] = reference.split('#')
  const file = resolve(baseDir, path)
  const record = path.endsWith('.proto') ? loadProto(file, message, reference) : loadJson(file, reference)
  checkRecord(record, reference)
  return record
}

function loadJson(file: string, reference: string): RecordType {
  const text = read(file, reference)
  let schema: unknown
  try {
    schema = JSON.parse(text)
  } catch (error) {
    throw new UserError(`schema ${reference}: ${messageOf(error)}`, 'take what bq show --schema prints')
  }
  return recordFromTableSchema(schema, basename(file, '.json'), `schema ${reference}`)
}

function read(file: string, reference: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new UserError(
      `schema ${reference}: ${messageOf(error)}`,
      'name a file that is there, FILE.proto#package.Message or FILE.json',
    )
  }
}

function loadProto(file: string, message: string | undefined, reference: string): RecordType {
  const root = new protobuf.Root()
  const loaded = new Set<string>()
  parseInto(root, loaded, file, dirname(file), reference, read(file, reference))
  try {
    root.resolveAll()
  } catch (error) {
    throw new UserError(`schema ${reference}: ${messageOf(error)}`, 'import the file that defines it')
  }
  return recordFromMessage(findMessage(root, message, reference), `schema ${reference}`)
}

function findMessage(root: protobuf.Root, name: string | undefined, reference: string): protobuf.Type {
  const known = messagesOf(root)
  const found = known.find((type) => type.fullName === `.${name}`)
  if (found) return found
  const names = known.map((type) => type.fullName.slice(1)).filter((other) => !other.startsWith('google.'))
  const problem = name === undefined ? 'names no message' : `has no message ${name}`
  throw new UserError(`schema ${reference}: ${problem}`, `add #MESSAGE, one of: ${names.join(', ') || 'none'}`)
}

function messagesOf(namespace: protobuf.NamespaceBase): protobuf.Type[] {
  return namespace.nestedArray.flatMap((object) => {
    const nested = object instanceof protobuf.Namespace ? messagesOf(object) : []
    return object instanceof protobuf.Type ? [object, ...nested] : nested
  })
}

function parseInto(
  root: protobuf.Root,
  loaded: Set<string>,
  file: string,
  top: string,
  reference: string,
  text: string,
): void {
  if (loaded.has(file)) return
  loaded.add(file)
  let parsed: protobuf.IParserResult
  try {
    parsed = protobuf.parse(text, root, { keepCase: true, alternateCommentMode: true })
  } catch (error) {
    throw new UserError(`schema ${reference}: ${file}: ${messageOf(error)}`, 'protoc must accept the file')
  }
  for (const wanted of [...(parsed.imports ?? []), ...(parsed.weakImports ?? [])]) {
    const definition = shipped(wanted)
    if (definition) addShipped(root, loaded, wanted, definition)
    else importFile(root, loaded, wanted, file, top, reference)
  }
}

function shipped(name: string): protobuf.INamespace | undefined {
  return SHIPPED[name] ?? protobuf.common.get(name) ?? undefined
}

function addShipped(root: protobuf.Root, loaded: Set<string>, name: string, definition: protobuf.INamespace): void {
  if (loaded.has(name)) return
  loaded.add(name)
  root.addJSON(definition.nested ?? {})
}

function importFile(
  root: protobuf.Root,
  loaded: Set<string>,
  wanted: string,
  from: string,
  top: string,
  reference: string,
): void {
  for (const directory of [dirname(from), ...ancestors(top)]) {
    const candidate = join(directory, wanted)
    if (existsSync(candidate)) return parseInto(root, loaded, candidate, top, reference, read(candidate, reference))
  }
  if (OPTION_FILES.includes(basename(wanted))) return
  throw new UserError(
    `schema ${reference}: ${from} imports ${wanted}, which is not there`,
    `put it below ${top}, as protoc would find it`,
  )
}

function ancestors(directory: string): string[] {
  const parent = dirname(directory)
  return parent === directory ? [directory] : [directory, ...ancestors(parent)]
}
