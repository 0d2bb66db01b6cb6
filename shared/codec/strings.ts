import { textOf } from './numbers.ts'
import { INVALID, JSON_SYNTAX, UTF8 } from './reasons.ts'
import type { RowBuffer } from './row-buffer.ts'

export const QUOTE = 0x22
const BACKSLASH = 0x5c
const LETTER_U = 0x75

/**
 * Whether bytes[start, end) is UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF). Node's own
 * isUtf8 wants a view of them, which is 200 bytes of garbage.
 */
export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let p = start
  while (p < end) {
    const lead = bytes[p++] as number
    if (lead < 0x80) continue
    const more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3
    if (lead < 0xc2 || lead > 0xf4 || p + more > end) return false
    const second = bytes[p] as number
    const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
    const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
    if (second < low || second > high) return false
    for (const stop = p + more; ++p < stop; ) if (((bytes[p] as number) & 0xc0) !== 0x80) return false
  }
  return true
}

/** What quoteEnd saw on the way: backslashes, bytes above 0x7f and below 0x20. */
export const seen = { escapes: false, wide: false, controls: false }

/** The closing quote of the text whose content begins at `start`, or `end` or more; what is special in it in `seen`. */
export function quoteEnd(bytes: Buffer, view: DataView, start: number, end: number): number {
  seen.escapes = false
  seen.wide = false
  seen.controls = false
  let p = plainTextEnd(view, start, end)
  for (; p < end; p++) {
    const c = bytes[p] as number
    if (c === QUOTE) break
    if (c === BACKSLASH) {
      seen.escapes = true
      p++
    } else if (c > 0x7f) seen.wide = true
    else if (c < 0x20) seen.controls = true
  }
  return p
}

// The letter behind a backslash to what it stands for; 0: none such, u is apart.
const ESCAPES = new Uint8Array(256)
for (const [letter, meaning] of ['""', '\\\\', '//', 'b\b', 'f\f', 'n\n', 'r\r', 't\t'])
  ESCAPES[letter?.charCodeAt(0) ?? 0] = meaning?.charCodeAt(0) ?? 0

/**
 * The content of a JSON string without its escapes, never more bytes than it had. Answers the end in `into`, or a
 * reason: an escape that does not exist, or a surrogate without its other half.
 */
export function unescape(bytes: Buffer, start: number, end: number, into: Buffer): number {
  let o = 0
  for (let p = start; p < end; p++) {
    if (bytes[p] !== BACKSLASH) {
      into[o++] = bytes[p] as number
      continue
    }
    const letter = ++p < end ? (bytes[p] as number) : 0
    if (letter === LETTER_U) return unescapeUnicode(bytes, start, end, into)
    if (ESCAPES[letter] === 0) return JSON_SYNTAX
    into[o++] = ESCAPES[letter] as number
  }
  return o
}

/** The same of one with characters that are written as numbers. */
function unescapeUnicode(bytes: Buffer, start: number, end: number, into: Buffer): number {
  if (!isUtf8(bytes, start, end)) return UTF8
  try {
    const text = JSON.parse(`"${bytes.toString('utf8', start, end)}"`) as string
    return text.isWellFormed() ? into.write(text) : UTF8
  } catch {
    return JSON_SYNTAX
  }
}

// Both alphabets, with or without padding.
const BASE64 = /^(?:[\w+/-]{4})*(?:[\w+/-]{2}(?:==)?|[\w+/-]{3}=?)?$/

/** base64 as a length and bytes. Answers 0 or INVALID. */
export function writeBase64(bytes: Uint8Array, start: number, end: number, out: RowBuffer): number {
  const text = textOf(bytes, start, end)
  if (!BASE64.test(text)) return INVALID
  const decoded = Buffer.from(text, 'base64')
  return out.lengthAndCopy(decoded, 0, decoded.length)
}

/**
 * A place up to which a JSON string shows the bytes from `start` on as they are: that of the first quote, backslash,
 * control or byte beyond ASCII, or at most three bytes before the end. Looks at four at a time: the top bit of each that
 * is one of these comes to be set, exactly so for the first.
 */
function plainTextEnd(view: DataView, start: number, end: number): number {
  let p = start
  for (const stop = end - 4; p <= stop; p += 4) {
    const word = view.getInt32(p, true)
    const special = (((word ^ 0x02020202) - 0x21212121) | ((word ^ 0x5c5c5c5c) - 0x01010101) | word) & 0x80808080
    if (special !== 0) return p + ((31 - Math.clz32(special & -special)) >> 3)
  }
  return p
}
