import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { HostLock, LockError } from './lock.ts'

test('a topic that has started is not written again: the disk may be full; what must be written and cannot names the file', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-lock-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'agent.lock')
  const lock = new HostLock(file, 'agent.lock_file')
  lock.setMark('logs', 'started', 1)
  lock.setMark('logs', 'started', 2)
  assert.deepEqual(lock.mark('logs'), { state: 'started', sinceMs: 1 })
  lock.release() // SQLite refuses all from now on, as on a full disk
  const named = (error: unknown) => error instanceof LockError && error.message.startsWith(`agent.lock_file ${file} `)
  assert.throws(() => lock.setMark('other', 'starting', 3), named)
})
