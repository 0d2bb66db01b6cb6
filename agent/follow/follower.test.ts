import assert from 'node:assert/strict'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { Follower } from './follower.ts'
import { LogPattern } from './scan.ts'

void test('an inode that another log has by now is followed as a file of that log', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-follower-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const [visits, payments] = [join(folder, 'visits.log'), join(folder, 'payments.log')]
  const log = (path: string, route: string) => ({
    pattern: new LogPattern(path),
    route,
    framing: { kind: 'lines' as const, maxEventBytes: 1000 },
    complete: false,
  })
  const reports: string[] = []
  const follower = new Follower({
    agent: 'a',
    logs: [log(visits, 'visits'), log(payments, 'payments')],
    finishAfterMs: 60_000,
    report: (message) => reports.push(message),
  })
  t.after(() => follower.close())
  follower.adopt([], true)
  writeFileSync(visits, 'a visit\n')
  await follower.look()
  // As after a deletion and a creation that got the same inode.
  renameSync(visits, payments)
  writeFileSync(payments, 'a payment\nanother\n')
  await follower.look()
  const followed = [...follower.sources.values()]
  assert.deepEqual(
    followed.map((one) => one.log.route),
    ['payments'],
  )
})
