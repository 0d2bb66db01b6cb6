import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import protobuf from 'protobufjs'
import descriptor from 'protobufjs/google/protobuf/descriptor.json' with { type: 'json' }
import { orUserError, UserError } from '../errors.ts'
import { recordFromTableSchema } from './bigquery.ts'
import { recordFromMessage } from './proto.ts'
import { checkRecord, type RecordType } from './record.ts'

// Files that may be imported without being there, besides those that protobufjs brings.
protobuf.common('google/protobuf/descriptor.proto', descriptor)
protobuf.common('google/type/date.proto', googleType('Date', 'year', 'month', 'day'))
protobuf.common('google/type/timeofday.proto', googleType('TimeOfDay', 'hours', 'minutes', 'seconds', 'nanos'))
/** Options are read without their definitions. */
const OPTION_FILES: readonly string[] = ['bq_field.proto', 'bq_table.proto', 'bq_schema.proto']

function googleType(name: string, ...members: string[]): protobuf.INamespace {
  const fields = Object.fromEntries(members.map((member, index) => [member, { type: 'int32', id: index + 1 }]))
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
  const where = `schema ${reference}`
  const record = path.endsWith('.proto') ? loadProto(file, message, where) : loadJson(file, where)
  checkRecord(record, reference)
  return record
}

function loadJson(file: string, where: string): RecordType {
  const text = read(file, where)
  const schema: unknown = orUserError(() => JSON.parse(text), where, 'take what bq show --schema prints')
  return recordFromTableSchema(schema, basename(file, '.json'), where)
}

function read(file: string, where: string): string {
  const fix = 'name a file that is there, FILE.proto#package.Message or FILE.json'
  return orUserError(() => readFileSync(file, 'utf8'), where, fix)
}

function loadProto(file: string, message: string | undefined, where: string): RecordType {
  read(file, where)
  const root = new protobuf.Root()
  root.resolvePath = (from, wanted) => (from === '' ? wanted : findImport(wanted, from, dirname(file), where))
  const load = () => root.loadSync(file, { keepCase: true, alternateCommentMode: true })
  orUserError(load, where, 'correct the file until protoc accepts it')
  return recordFromMessage(findMessage(root, message, where), where)
}

/** Null: a file that is not needed. */
function findImport(wanted: string, from: string, top: string, where: string): string | null {
  const candidates = [dirname(from), ...ancestors(top)].map((directory) => join(directory, wanted))
  const found = candidates.find((candidate) => existsSync(candidate))
  if (found || OPTION_FILES.includes(basename(wanted))) return found ?? null
  const fix = `put it below ${top}, as protoc would find it`
  throw new UserError(`${where}: ${from} imports ${wanted}, which is not there`, fix)
}

function ancestors(directory: string): string[] {
  const parent = dirname(directory)
  return parent === directory ? [directory] : [directory, ...ancestors(parent)]
}

function findMessage(root: protobuf.Root, name: string | undefined, where: string): protobuf.Type {
  const known = messagesOf(root)
  const found = known.find((type) => type.fullName === `.${name}`)
  if (found) return found
  const names = known.map((type) => type.fullName.slice(1)).filter((other) => !other.startsWith('google.'))
  const problem = name === undefined ? 'names no message' : `has no message ${name}`
  throw new UserError(`${where}: ${problem}`, `add #MESSAGE, one of: ${names.join(', ') || 'none'}`)
}

function messagesOf(namespace: protobuf.NamespaceBase): protobuf.Type[] {
  return namespace.nestedArray.flatMap((object) => {
    const nested = object instanceof protobuf.Namespace ? messagesOf(object) : []
    return object instanceof protobuf.Type ? [object, ...nested] : nested
  })
}
