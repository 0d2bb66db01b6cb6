/** The order of a listing: that of the names' UTF-8 bytes, which is the order of their code points. */
export function compareNames(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return rank(x) - rank(y)
  }
  return a.length - b.length
}

/** UTF-16 units in code point order: surrogates (code points from U+10000 on) come behind everything else. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit
}

/** Why `name` cannot be an object's, or nothing: https://cloud.google.com/storage/docs/objects#naming */
export function objectNameProblem(name: string): string | undefined {
  if (name === '') return 'Required'
  if (Buffer.byteLength(name) > 1024) return 'The object name is longer than 1024 bytes in UTF-8.'
  if (/[\r\n]/.test(name)) return 'The object name contains a carriage return or a line feed.'
  if (name === '.' || name === '..') return `The object name cannot be "${name}".`
  if (name.startsWith('.well-known/acme-challenge/'))
    return 'The object name cannot start with .well-known/acme-challenge/.'
  if (!name.isWellFormed()) return 'The object name is not valid UTF-8.'
  return undefined
}

/** Rules for a bucket's name: https://cloud.google.com/storage/docs/buckets#naming */
export function isBucketName(name: string): boolean {
  if (name.length < 3 || name.length > 222) return false
  if (!/^[a-z0-9][a-z0-9._-]*[a-z0-9]$/.test(name) || name.startsWith('goog') || name.includes('google')) return false
  if (/^\d+\.\d+\.\d+\.\d+$/.test(name)) return false
  return name.split('.').every((part) => part.length > 0 && part.length <= 63)
}
