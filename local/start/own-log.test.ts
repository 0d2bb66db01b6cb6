import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'
import { parseConfig } from '../../shared/config/index.ts'
import { UserError } from '../../shared/errors.ts'
import { countOwnLog, ownTally, requireOwnLog } from './own-log.ts'

const CONFIG = parseConfig(
  '{ project: p, dataset: d, bucket: b-b, routes: { a: { format: raw, table: a }, b: { format: raw, table: b } } }',
  '/millrace.yaml',
)

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-own-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

async function feed(folder: string, name: string, content: string | Buffer, route = 'a'): Promise<number> {
  const file = join(folder, name)
  writeFileSync(file, content)
  const own = countOwnLog(folder, CONFIG, { file, route }, new AbortController().signal)
  await own.stop()
  return own.written()
}

test('a file is counted by its framing: empty, compressed, without a final newline', async (t) => {
  assert.equal(await feed(folder(t), 'x', ''), 0)
  assert.equal(await feed(folder(t), 'x', 'one\n\ntwo'), 2)
  assert.equal(await feed(folder(t), 'x', gzipSync('one\ntwo\n')), 2)
})

test('files that are fed one after the other add up; the same one again does not, and may have grown', async (t) => {
  const path = folder(t)
  assert.equal(await feed(path, 'x', 'one\ntwo\n'), 2)
  assert.equal(await feed(path, 'x', 'one\ntwo\n'), 2)
  assert.equal(await feed(path, 'x', 'one\ntwo\nthree\n'), 3)
  assert.equal(await feed(path, 'copy', 'one\ntwo\nthree\n'), 3)
  assert.equal(await feed(path, 'x', 'another\n'), 4)
  assert.equal(await feed(path, 'y', 'y\n', 'b'), 5)
  const other = parseConfig(
    '{ project: p, dataset: d, bucket: b-b, routes: { b: { format: raw, table: b } } }',
    '/m.yaml',
  )
  assert.equal(ownTally(path, other), 1)
})

test('what cannot be fed is refused before anything starts', async (t) => {
  const path = folder(t)
  const refused = (route: string, file: string, message: RegExp) =>
    assert.throws(
      () => requireOwnLog(CONFIG, { route, file }),
      (error) => error instanceof UserError && message.test(error.message),
    )
  refused('none', path, /there is no route none/)
  refused('a', join(path, 'nothing'), /cannot read .*nothing: ENOENT/)
  refused('a', path, /is not a file/)
  writeFileSync(join(path, 'wide'), Buffer.from('\ufeffone', 'utf16le'))
  refused('a', join(path, 'wide'), /is in UTF-16; convert it/)
  await assert.rejects(feed(path, 'cut', gzipSync('x'.repeat(1000)).subarray(0, 20)), /cut is damaged/)
})
