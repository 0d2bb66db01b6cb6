/** Bytes [from, to). */
export type Span = readonly [from: number, to: number]

export const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
export const OPEN_ARRAY = 0x5b
export const OPEN_OBJECT = 0x7b

const isBlank = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09

/** Without the white space at both ends. */
export function trim(bytes: Buffer, start: number, end: number): Span {
  let [from, to] = [start, end]
  while (from < to && isBlank(bytes[from])) from++
  while (from < to && isBlank(bytes[to - 1])) to--
  return [from, to]
}

/**
 * The elements of a JSON array, or the members of an object, where they stand: numbers beyond 2^53 stay exact, and a broken
 * element breaks no other. Undefined: the brackets do not close at the end. The parts themselves are not checked.
 * @param check is told how many there are so far, and may throw
 */
export function splitJson(bytes: Buffer, [start, end]: Span, check?: (parts: number) => void): Span[] | undefined {
  const parts: Span[] = []
  let depth = 0
  let from = start + 1
  for (let at = start; at < end; at++) {
    const byte = bytes[at]
    if (byte === QUOTE) at = stringEnd(bytes, at, end)
    else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) depth++
    else if (byte === COMMA && depth === 1) {
      parts.push(trim(bytes, from, at))
      check?.(parts.length + 1)
      from = at + 1
    } else if ((byte === OPEN_ARRAY + 2 || byte === OPEN_OBJECT + 2) && --depth === 0) {
      const last = trim(bytes, from, at)
      if (parts.length > 0 || last[0] < last[1]) parts.push(last)
      return at + 1 === end ? parts : undefined
    }
  }
  return undefined
}

/** The values of an object's members by name; undefined: it is no object. */
export function membersOf(bytes: Buffer, span: Span): Map<string, Span> | undefined {
  if (bytes[span[0]] !== OPEN_OBJECT) return undefined
  const members = splitJson(bytes, span)?.map(([from, to]): [string, Span] => {
    const nameEnd = stringEnd(bytes, from, to)
    const colon = bytes.indexOf(COLON, nameEnd)
    return [bytes.toString('utf8', from + 1, nameEnd), trim(bytes, colon + 1, to)]
  })
  return members && new Map(members)
}

/** Where the quote stands that closes the string; `end` when none does. */
function stringEnd(bytes: Buffer, start: number, end: number): number {
  let at = start + 1
  while (at < end && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1
  return Math.min(at, end)
}
