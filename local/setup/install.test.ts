import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { whatIsMissing } from './install.js'

const LOCK = {
  '': {},
  'node_modules/a': { version: '1.0.0' },
  'node_modules/other-system': { version: '1.0.0', optional: true },
}

/** A clone with this lock file, in which npm has installed these packages (undefined: it never finished). */
function clone(t: TestContext, installed?: Record<string, { version: string }>): string | undefined {
  const root = mkdtempSync(join(tmpdir(), 'millrace-setup-test-'))
  t.after(() => rmSync(root, { recursive: true }))
  const node = join(root, 'node')
  writeFileSync(node, '')
  writeFileSync(join(root, 'package-lock.json'), JSON.stringify({ packages: LOCK }))
  mkdirSync(join(root, 'node_modules'))
  if (installed !== undefined) {
    writeFileSync(join(root, 'node_modules', '.package-lock.json'), JSON.stringify({ packages: installed }))
  }
  return whatIsMissing(root, node)
}

test('nothing is missing when npm has installed what the lock file says, other systems aside', (t) => {
  assert.equal(clone(t, { 'node_modules/a': { version: '1.0.0' } }), undefined)
})

test('an installation that did not finish, an absent and another version are told apart', (t) => {
  assert.equal(clone(t), 'node_modules is missing')
  assert.equal(clone(t, {}), 'a has changed')
  assert.equal(clone(t, { 'node_modules/a': { version: '1.0.1' } }), 'a has changed')
})
