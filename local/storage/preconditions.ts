import { invalidParameter } from './errors.ts'
import type { Preconditions, StoredObject } from './model.ts'

const NAMES = [
  'ifGenerationMatch',
  'ifGenerationNotMatch',
  'ifMetagenerationMatch',
  'ifMetagenerationNotMatch',
] as const

/** The preconditions among a request's parameters; `prefix` is `Source` for those of a copy's source. */
export function parsePreconditions(query: URLSearchParams, prefix: '' | 'Source' = ''): Preconditions {
  const found: Preconditions = {}
  for (const name of NAMES) {
    const parameter = prefix === '' ? name : name.replace('if', 'ifSource')
    const text = query.get(parameter)
    if (text !== null) found[name] = parseCount(parameter, text)
  }
  return found
}

/** A generation or a metageneration. 400 when it is none. */
export function parseCount(parameter: string, text: string): number {
  const value = Number(text)
  if (!/^\d{1,19}$/.test(text)) throw invalidParameter(parameter, text)
  return value
}

/**
 * Whether conditions hold for what is there now; an object that is not there has generation 0 and no metageneration.
 * `not-modified` when only a NotMatch fails: a read answers that with 304, everything else with 412.
 * https://cloud.google.com/storage/docs/request-preconditions
 */
export function judge(conditions: Preconditions, object: StoredObject | undefined): 'hold' | 'failed' | 'not-modified' {
  const generation = object?.generation ?? 0
  const metageneration = object?.metageneration ?? 0
  const differs = (wanted: number | undefined, actual: number) => wanted !== undefined && wanted !== actual
  const equals = (unwanted: number | undefined, actual: number) => unwanted !== undefined && unwanted === actual
  if (differs(conditions.ifGenerationMatch, generation)) return 'failed'
  if (differs(conditions.ifMetagenerationMatch, metageneration)) return 'failed'
  if (equals(conditions.ifGenerationNotMatch, generation)) return 'not-modified'
  if (object && equals(conditions.ifMetagenerationNotMatch, metageneration)) return 'not-modified'
  return 'hold'
}
