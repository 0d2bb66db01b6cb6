import { textOf } from './numbers.ts'
import { INVALID, JSON_SYNTAX, TRUNCATED, UTF8 } from './reasons.ts'
import type { RowBuffer } from './row-buffer.ts'

export const QUOTE = 0x22
const BACKSLASH = 0x5c
const LETTER_U = 0x75

/** 1 for bytes that a JSON string shows as they are: ASCII without controls, quote and backslash. */
export const PLAIN = Uint8Array.from({ length: 256 }, (_, c) =>
  c >= 0x20 && c < 0x80 && c !== QUOTE && c !== BACKSLASH ? 1 : 0,
)

/** Whether bytes[start, end) is UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF). */
export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let p = start
  while (p < end) {
    const length = sequenceLength(bytes, p, end)
    if (length === 0) return false
    p += length
  }
  return true
}

/** Bytes of the character at p, or 0 when it is none. Node's own isUtf8 wants a view: 240 bytes of garbage. */
function sequenceLength(bytes: Uint8Array, p: number, end: number): number {
  const lead = bytes[p] as number
  if (lead < 0x80) return 1
  const length = lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xf0 && lead < 0xf5 ? 4 : 0
  if (length === 0 || p + length > end) return 0
  const second = bytes[p + 1] as number
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
  if (second < low || second > high) return 0
  for (let i = p + 2; i < p + length; i++) if (((bytes[i] as number) & 0xc0) !== 0x80) return 0
  return length
}

let shown: Buffer = Buffer.alloc(0)
let view = new DataView(shown.buffer)

/** The view of a buffer, kept for the next value of it. */
export function viewOf(bytes: Buffer): DataView {
  if (bytes !== shown) {
    shown = bytes
    view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }
  return view
}

/** What stringEnd saw on the way. */
export const seen = { escapes: false, wide: false }

/** The closing quote of the JSON string whose content begins at p, or a reason; whether it has escapes or bytes above 0x7f in `seen`. */
export function stringEnd(bytes: Uint8Array, start: number, end: number): number {
  seen.escapes = false
  seen.wide = false
  for (let p = start; p < end; p++) {
    const c = bytes[p] as number
    if (PLAIN[c] === 1) continue
    if (c === QUOTE) return p
    if (c === BACKSLASH) {
      seen.escapes = true
      p++
    } else if (c < 0x20) return JSON_SYNTAX
    else seen.wide = true
  }
  return TRUNCATED
}

/** The closing quote of a text in a line of text whose content begins at p, or the end; backslashes in seen.escapes. */
export function quoteEnd(bytes: Buffer, start: number, end: number): number {
  seen.escapes = false
  let p = plainTextEnd(bytes, viewOf(bytes), start, end)
  while (p < end && bytes[p] !== QUOTE) {
    if (bytes[p] === BACKSLASH) {
      seen.escapes = true
      p++
    }
    p++
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
  out.lengthAndCopy(decoded, 0, decoded.length)
  return 0
}

/** The first byte at or behind `start` that a JSON string does not show as it is, or the end. */
export function plainTextEnd(bytes: Uint8Array, view: DataView, start: number, end: number): number {
  let p = start
  for (const stop = end - 4; p <= stop; p += 4) {
    const special = specialOf(view.getInt32(p, true))
    if (special !== 0) return p + ((31 - Math.clz32(special & -special)) >> 3)
  }
  while (p < end && PLAIN[bytes[p] as number] === 1) p++
  return p
}

/** The top bit of each of four bytes that is a quote, a backslash, a control or beyond ASCII; exact for the lowest such. */
function specialOf(word: number): number {
  return (((word ^ 0x02020202) - 0x21212121) | ((word ^ 0x5c5c5c5c) - 0x01010101) | word) & 0x80808080
}
