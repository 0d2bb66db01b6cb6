import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { LogPattern } from './scan.ts'

void test('a folder that only some of those have which a wildcard finds is not waited for; one that was there is', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-follower-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  for (const name of ['api/logs', 'web']) mkdirSync(join(folder, name), { recursive: true })
  const pattern = new LogPattern(join(folder, '*/logs/*.log'))
  assert.equal(pattern.scan().complete, true)
  rmSync(join(folder, 'api/logs'), { recursive: true })
  for (let scans = 0; scans < 2; scans++) assert.equal(pattern.scan().complete, false)
  mkdirSync(join(folder, 'api/logs'))
  assert.equal(pattern.scan().complete, true)
  rmSync(join(folder, 'api'), { recursive: true })
  assert.equal(pattern.scan().complete, true)
  rmSync(folder, { recursive: true })
  assert.equal(pattern.scan().complete, false)
})

void test('links that lead back into the folders below a pattern are followed once', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-follower-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const name of ['a', 'b', 'c']) {
    mkdirSync(join(folder, name))
    symlinkSync('..', join(folder, name, 'up'))
    for (const other of ['a', 'b', 'c']) symlinkSync(`../${other}`, join(folder, name, `to-${other}`))
  }
  writeFileSync(join(folder, 'c/app.log'), 'one\n')
  const { files, folders } = new LogPattern(join(folder, '**/*.log')).scan()
  assert.ok(files.some(({ path }) => path === join(folder, 'c/app.log')))
  assert.ok(folders.length < 50, `${folders.length} folders`)
})
