/** What a file's name says about its place in a rotation. */
export interface RotationName {
  /** The name of the log that it is a part of: `app.log` for `app.log.3.gz`, `app-20261123.log` and `app.log`. */
  readonly stem: string
  /** What rotation added: `3`, `20261123`; empty for the live file. */
  readonly mark: string
  /** The name without the ending of a compressed copy; the same as the name for any other file. */
  readonly plain: string
}

const COMPRESSED = /\.(?:gz|zst|zstd)$/
/** A number, a date, a time stamp, or both: what logrotate, dateext and most loggers add. */
const MARK = String.raw`\d[\dT:Z._+-]*|old|bak`
const SUFFIXED = new RegExp(`^(.+?)[._-](${MARK})$`)
const INFIXED = new RegExp(String.raw`^(.+?)[._-](${MARK})(\.[A-Za-z]\w*)$`)

/** Takes a file's name apart. */
export function rotationName(name: string): RotationName {
  const plain = name.replace(COMPRESSED, '')
  const [, stem = plain, mark = '', ending = ''] = SUFFIXED.exec(plain) ?? INFIXED.exec(plain) ?? []
  return { stem: stem + ending, mark, plain }
}

/** A counter has few digits and grows with age; anything longer is a date, and grows with time. */
const COUNTER_DIGITS_MAX = 4

/** Where a file stands in its rotation: by name where the name tells, else by the time of its last write. */
export interface Age {
  readonly mark: string
  readonly mtimeMs: number
}

/** Sorts the files of one rotation, oldest first; the live file is the last. */
export function compareAge(a: Age, b: Age): number {
  if (!a.mark || !b.mark) return Number(!a.mark) - Number(!b.mark) || a.mtimeMs - b.mtimeMs
  if (isCounter(a.mark) && isCounter(b.mark)) return Number(b.mark) - Number(a.mark) || a.mtimeMs - b.mtimeMs
  if (a.mark.length === b.mark.length && a.mark !== b.mark) return a.mark < b.mark ? -1 : 1
  return a.mtimeMs - b.mtimeMs
}

function isCounter(mark: string): boolean {
  return mark.length <= COUNTER_DIGITS_MAX && /^\d+$/.test(mark)
}
