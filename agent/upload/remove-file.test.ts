import assert from 'node:assert/strict'
import fs, { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { type Followed, LogPattern } from '../follow/index.ts'
import { removeFile } from './remove-file.ts'

for (const [pattern, name] of [
  ['app.log', 'app.log.1'],
  ['app.log', 'app.log-20261123.gz'],
  ['app-*.log', 'app-20261123.log'],
  ['app.log', 'app.log'],
] as const) {
  void test(`${name}, which grew and whose name cannot be given back, is a rotated file of ${pattern} by the name that it has then`, (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-uploader-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const log = new LogPattern(join(folder, pattern))
    writeFileSync(join(folder, name), 'first\n')
    const [seen] = log.scan().files
    appendFileSync(join(folder, name), 'late\n')
    // As the kernel does if fs.protected_hardlinks is set, and the agent may write to the folder, not to the file.
    const refused = t.mock.method(fs, 'linkSync', () => {
      throw new Error('EPERM: operation not permitted')
    })
    syncBuiltinESMExports()
    removeFile({ file: { seen } } as Followed, () => undefined)
    refused.mock.restore()
    syncBuiltinESMExports()
    const [after] = log.scan().files
    assert.equal(after?.key, seen?.key)
    assert.notEqual(after?.mark, '')
  })
}
