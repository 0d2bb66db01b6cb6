import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { UserError } from '../../../shared/errors.ts'
import { readRecords } from './records.ts'
import { FileLog, findSegments } from './stream-log.ts'

const root = mkdtempSync(join(tmpdir(), 'millrace-log-'))
after(() => rmSync(root, { recursive: true }))

let folders = 0
function folder(): string {
  const dir = join(root, String(++folders))
  mkdirSync(dir)
  return dir
}

const open = (dir: string) => FileLog.open(dir, 'table', 's', findSegments(dir).get('s'))
const body = (text: string) => Buffer.from(text)

/** Everything that a log holds: kind, offset, body. */
function contents(log: FileLog): [offset: number, text: string][] {
  return log
    .segments()
    .flatMap(({ file, length }) =>
      [...readRecords(file, 0, length)]
        .filter(({ rows }) => rows > 0)
        .map((record): [number, string] => [record.offset, record.body.toString()]),
    )
}

test('killed at any byte of any write it opens with the whole appends before, and goes on', () => {
  const dir = folder()
  const log = open(dir)
  const ends: { bytes: number; rows: number }[] = []
  for (const [at, rows] of [3, 1, 2].entries()) {
    log.append(at === 2 ? 'other writer' : 'writer', rows, body(`append ${at}`), 1_000 + at)
    ends.push({ bytes: log.segments()[0]?.length ?? 0, rows: log.end })
  }
  log.rest()
  const file = log.segments()[0]?.file ?? ''
  const whole = readFileSync(file)
  for (let length = 0; length <= whole.length; length++) {
    const torn = folder()
    writeFileSync(join(torn, 's.000001'), whole.subarray(0, length))
    const reopened = open(torn)
    const survived = ends.filter(({ bytes }) => bytes <= length)
    assert.equal(reopened.end, survived.at(-1)?.rows ?? 0)
    reopened.append('writer', 1, body('next'), 2_000)
    assert.equal(contents(reopened).length, survived.length + 1)
    assert.deepEqual(contents(reopened).at(-1), [reopened.end - 1, 'next'])
    reopened.rest()
    assert.equal(open(torn).end, reopened.end)
  }
})

test('a changed byte is found, wherever it is', () => {
  const dir = folder()
  const log = open(dir)
  for (let at = 0; at < 3; at++) log.append('writer', 1, body(`append ${at}`), at)
  log.rest()
  const whole = readFileSync(log.segments()[0]?.file ?? '')
  // The length of the head is the one number without a checksum: a head that seems cut short was never written whole.
  const unchecked = { from: 8, to: 12 }
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      fc.pre(at < unchecked.from || at >= unchecked.to)
      const damaged = Buffer.from(whole)
      damaged[at] = (damaged[at] as number) ^ flip
      const copy = folder()
      writeFileSync(join(copy, 's.000001'), damaged)
      assert.throws(() => open(copy), UserError)
    }),
    { numRuns: 500 },
  )
})

test('a log of another table, or a copy under another name, is refused', () => {
  const dir = folder()
  const log = open(dir)
  log.append('writer', 1, body('x'), 1)
  log.rest()
  copyFileSync(join(dir, 's.000001'), join(dir, 'other.000001'))
  assert.throws(() => FileLog.open(dir, 'table', 'other', [1]), /belongs to another stream/)
  assert.throws(() => FileLog.open(dir, 'elsewhere', 's', [1]), /belongs to another stream/)
})

test('segments roll at 64 MB; old ones are dropped, and the end is known from the last alone', () => {
  const dir = folder()
  const log = open(dir)
  const large = Buffer.alloc(20 * 1024 * 1024, 'x')
  for (let at = 0; at < 9; at++) log.append('writer', 10, large, at)
  assert.deepEqual(
    log.segments().map(({ number }) => number),
    [1, 2, 3],
  )
  log.dropBefore(3)
  log.rest()
  const reopened = open(dir)
  assert.deepEqual([reopened.end, reopened.lastMs, reopened.segments().length], [90, 8, 1])
  reopened.remove()
  assert.equal(findSegments(dir).size, 0)
})
