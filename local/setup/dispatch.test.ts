import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { test } from 'node:test'

const ROOT = join(import.meta.dirname, '..', '..')

test('a name runs its program with the remaining arguments; another one is answered with the names', (t) => {
  mkdirSync(join(ROOT, '.millrace'), { recursive: true })
  const dir = mkdtempSync(join(ROOT, '.millrace', 'dispatch-test-'))
  t.after(() => rmSync(dir, { recursive: true }))
  writeFileSync(join(dir, 'one.ts'), 'console.log(...process.argv.slice(2)); process.exitCode = 5')
  writeFileSync(join(dir, 'two.ts'), '')
  const dispatch = (...args: string[]) => {
    const program = join(import.meta.dirname, 'dispatch.ts')
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, relative(ROOT, dir), ...args], {
      encoding: 'utf8',
    })
    return { status, stdout, stderr }
  }
  assert.deepEqual(dispatch('one', '--seed', '1'), { status: 5, stdout: '--seed 1\n', stderr: '' })
  assert.equal(dispatch('three').status, 2)
  assert.match(dispatch('three').stderr, /there is no .*three\.ts; the names are: one, two/)
  assert.match(dispatch().stderr, /a name is needed; the names are: one, two/)
})
