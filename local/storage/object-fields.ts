import { invalid, notBuilt } from './errors.ts'
import { isRecord } from './exchange.ts'
import type { ObjectFields } from './model.ts'

const TEXT_FIELDS = [
  'contentType',
  'contentEncoding',
  'contentDisposition',
  'contentLanguage',
  'cacheControl',
  'customTime',
  'storageClass',
] as const

/** Fields of the real service that would change what it does, and that this one does not honour. */
const NOT_BUILT = [
  'temporaryHold',
  'eventBasedHold',
  'retention',
  'contexts',
  'kmsKeyName',
  'customerEncryption',
] as const

/** Custom metadata of one object, names and values in UTF-8: https://cloud.google.com/storage/quotas#objects */
const METADATA_BYTES_MAX = 8 * 1024

const METADATA_TOO_LARGE = `The total size of the custom metadata is larger than ${METADATA_BYTES_MAX} bytes.`

/** The fields that `body` names, over `before`: null takes a field or a metadata key away, what is absent stays. */
export function patchFields(before: ObjectFields, body: Record<string, unknown>): ObjectFields {
  refuseNotBuilt(body)
  const after: ObjectFields = { ...before }
  for (const name of TEXT_FIELDS) {
    const value = body[name]
    if (value === null) delete after[name]
    else if (value !== undefined) after[name] = text(name, value)
  }
  if (body['metadata'] === null) delete after.metadata
  else if (body['metadata'] !== undefined) after.metadata = patchMetadata(before.metadata ?? {}, body['metadata'])
  return after
}

/** The fields of a new object. */
export function newFields(body: Record<string, unknown>): ObjectFields {
  return patchFields({}, body)
}

function patchMetadata(before: Record<string, string>, patch: unknown): Record<string, string> {
  if (!isRecord(patch)) throw invalid('metadata must be an object of strings.')
  const after = new Map(Object.entries(before))
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) after.delete(key)
    else after.set(key, text(`metadata.${key}`, value))
  }
  let bytes = 0
  for (const [key, value] of after) bytes += Buffer.byteLength(key) + Buffer.byteLength(value)
  if (bytes > METADATA_BYTES_MAX) throw invalid(METADATA_TOO_LARGE)
  return Object.fromEntries(after)
}

function text(name: string, value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  throw invalid(`Invalid value for ${name}: a string is needed.`)
}

function refuseNotBuilt(body: Record<string, unknown>): void {
  for (const name of NOT_BUILT) {
    const value = body[name]
    if (value !== undefined && value !== null && value !== false && value !== '')
      throw notBuilt(`The object field ${name}`)
  }
}
