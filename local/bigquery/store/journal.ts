import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import { corrupt } from './corrupt.ts'

/** A file of JSON lines that only grows, each line with its checksum. */
export interface Journal<E> {
  /** What the file held when it was opened, in order. */
  readonly entries: readonly E[]
  /** Appends one entry; it is durable against the death of the process when this returns. */
  append(entry: E): void
  /** Replaces everything by `entries`, at once. */
  rewrite(entries: readonly E[]): void
  close(): void
}

/** A journal that is kept nowhere. */
export function memoryJournal<E>(): Journal<E> {
  return { entries: [], append() {}, rewrite() {}, close() {} }
}

/**
 * Opens or makes a journal. A torn last line is cut off: nobody was told that it is there. Throws a UserError for a
 * damaged line elsewhere, another format or another version.
 */
export function openJournal<E>(file: string, format: string, version: number): Journal<E> {
  mkdirSync(dirname(file), { recursive: true })
  const head = line({ format, version })
  let fd = openSync(file, 'a+')
  const { lines, length } = wholeLines(readFileSync(file), file)
  ftruncateSync(fd, length)
  if (lines.length === 0) writeSync(fd, head)
  else checkHead(lines[0], file, format, version)

  return {
    entries: lines.slice(1) as E[],
    append: (entry) => writeWhole(fd, line(entry)),
    rewrite(entries) {
      writeFileSync(`${file}.new`, head + entries.map(line).join(''))
      renameSync(`${file}.new`, file)
      closeSync(fd)
      fd = openSync(file, 'a')
    },
    close: () => closeSync(fd),
  }
}

function line(value: unknown): string {
  const json = JSON.stringify(value)
  return `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`
}

/** A full disk may take part of a line: that part is taken back, so that no line ever follows a torn one. */
function writeWhole(fd: number, text: string): void {
  const bytes = Buffer.from(text)
  const before = fstatSync(fd).size
  try {
    const written = writeSync(fd, bytes)
    if (written < bytes.length) throw new Error(`the disk took ${written} of ${bytes.length} bytes`)
  } catch (error) {
    ftruncateSync(fd, before)
    throw error
  }
}

function wholeLines(bytes: Buffer, file: string): { lines: unknown[]; length: number } {
  const lines: unknown[] = []
  let start = 0
  for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
    const json = bytes.toString('utf8', start + 9, end)
    if (bytes.toString('latin1', start, start + 9) !== `${crc32(json).toString(16).padStart(8, '0')} `) {
      throw corrupt(file, `line ${lines.length + 1} does not match its checksum`)
    }
    lines.push(JSON.parse(json))
    start = end + 1
  }
  return { lines, length: start }
}

function checkHead(head: unknown, file: string, format: string, version: number): void {
  const found = head as { format?: unknown; version?: unknown }
  if (found.format !== format) throw corrupt(file, `its first line does not say ${format}`)
  if (found.version !== version)
    throw corrupt(file, `it has version ${found.version}; this program reads version ${version}`)
}
