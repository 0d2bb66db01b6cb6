const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

/** Lower-case base32 (RFC 4648, section 6) without padding. */
export function encodeBase32(bytes: Uint8Array): string {
  let [text, bits, held] = ['', 0, 0]
  for (const byte of bytes) {
    held = (held << 8) | byte
    for (bits += 8; bits >= 5; bits -= 5) text += ALPHABET[(held >>> (bits - 5)) & 31]
    held &= (1 << bits) - 1
  }
  return bits > 0 ? text + ALPHABET[(held << (5 - bits)) & 31] : text
}

/** The first `length` bytes of a text that `encodeBase32` made. Throws for any other character. */
export function decodeBase32(text: string, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  let [at, bits, held] = [0, 0, 0]
  for (const character of text) {
    const value = ALPHABET.indexOf(character)
    if (value < 0) throw new Error(`${text} is no base32`)
    held = (held << 5) | value
    bits += 5
    if (bits >= 8 && at < length) {
      bytes[at++] = (held >>> (bits - 8)) & 0xff
      bits -= 8
    }
    held &= (1 << bits) - 1
  }
  if (at < length) throw new Error(`${text} is too short`)
  return bytes
}
