import assert from 'node:assert/strict'
import { mkdtempSync, openSync, closeSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import test from 'node:test'
import { zstdDecompressSync } from 'node:zlib'
import { openReader } from '../follow/reader.ts'
import { compressed, measure } from './measure.ts'

void test('a large file is measured in turns with the others, compressed as it is, and refused when it changes meanwhile', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-measure-'))
  const path = join(folder, 'app.log')
  const text = Array.from({ length: 80_000 }, (_, i) => `${'x'.repeat(100)} ${i}\n`).join('')
  writeFileSync(path, text)
  const fd = openSync(path, 'r')
  t.after(() => {
    closeSync(fd)
    rmSync(folder, { recursive: true })
  })
  let turns = 0
  let turn = setImmediate(function next() {
    turns++
    turn = setImmediate(next)
  })
  const measured = await measure(openReader(fd, 'plain'), { kind: 'lines', maxEventBytes: 1000 }, 0, Infinity)
  clearImmediate(turn)
  assert.ok(turns > 10, `${turns} turns of others`)
  assert.deepEqual([measured.size, measured.end, measured.events], [text.length, text.length, 80_000])
  const stored = await buffer(compressed(openReader(fd, 'plain'), 0, measured))
  assert.ok(zstdDecompressSync(stored).toString() === text)

  writeFileSync(path, text.replace('x', 'y'))
  await assert.rejects(buffer(compressed(openReader(fd, 'plain'), 0, measured)), /changed while it was uploaded/)
})
