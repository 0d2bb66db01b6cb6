import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { UserError } from '../../../shared/errors.ts'
import { openJournal } from './journal.ts'

const dir = mkdtempSync(join(tmpdir(), 'millrace-journal-'))
after(() => rmSync(dir, { recursive: true }))

let files = 0
const open = (file: string) => openJournal<{ n: number }>(file, 'test', 1)

/** A file with entries 1 to 3. */
function filled(): { file: string; bytes: Buffer } {
  const file = join(dir, `${++files}.log`)
  const journal = open(file)
  for (const n of [1, 2, 3]) journal.append({ n })
  journal.close()
  return { file, bytes: readFileSync(file) }
}

function entries(file: string): number[] {
  const journal = open(file)
  journal.close()
  return journal.entries.map(({ n }) => n)
}

test('cut at every byte it opens with the whole lines before the cut, and takes more', () => {
  const { file, bytes } = filled()
  for (let length = 0; length <= bytes.length; length++) {
    writeFileSync(file, bytes.subarray(0, length))
    const lines = bytes.subarray(0, length).toString().split('\n').length - 1
    const expected = [1, 2, 3].slice(0, Math.max(0, lines - 1))
    assert.deepEqual(entries(file), expected)
    const journal = open(file)
    journal.append({ n: 9 })
    journal.close()
    assert.deepEqual(entries(file), [...expected, 9])
  }
})

test('a byte that is changed in a whole line is found', () => {
  const { file, bytes } = filled()
  for (let at = 0; at < bytes.length; at++) {
    const damaged = Buffer.from(bytes)
    damaged[at] = (damaged[at] as number) ^ 1
    writeFileSync(file, damaged)
    // The last line's end makes the last line a torn one: that is not damage.
    if (at === bytes.length - 1) assert.deepEqual(entries(file), [1, 2])
    else assert.throws(() => open(file), UserError, `byte ${at}`)
  }
})

test('another format or version is refused', () => {
  const { file } = filled()
  assert.throws(() => openJournal(file, 'other', 1), /does not say other/)
  assert.throws(() => openJournal(file, 'test', 2), /version 1; this program reads version 2/)
})

test('rewrite replaces everything', () => {
  const { file } = filled()
  const journal = open(file)
  journal.rewrite([{ n: 7 }])
  journal.append({ n: 8 })
  journal.close()
  assert.deepEqual(entries(file), [7, 8])
})
