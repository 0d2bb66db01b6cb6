import assert from 'node:assert/strict'
import { renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { Births } from '../../test/support/births.ts'
import { follow, readAll } from '../../test/support/following.ts'
import { Follower } from './follower.ts'
import { LogPattern } from './scan.ts'

/** Long ago, and after their births: what has the inode and the size of another one, and was written in the same tick, is not looked into. */
const WRITTEN_S = 1.1e9

/** A log and its rotated file, both read; that one is gone since, and was not open any more. */
async function readTwo(t: TestContext, live: string) {
  const { folder, follower, options } = follow(t, 'app.log')
  const births = new Births()
  t.after(() => births.restore())
  const [path, old] = [join(folder, 'app.log'), join(folder, 'app.log.1')]
  births.add(folder)
  writeFileSync(old, 'done\n')
  writeFileSync(path, `${live}\n`)
  for (const file of [old, path]) {
    births.add(file)
    utimesSync(file, WRITTEN_S, WRITTEN_S)
  }
  await follower.look()
  assert.deepEqual(await readAll(follower), ['done', live])
  for (const { source, file } of follower.sources.values()) if (source.finished) file.close()
  const { ino } = statSync(old)
  rmSync(old)
  /** What this life, or the next one, reads then. */
  const lines = async (restarts: boolean) => {
    const logs = options.logs.map((log) => ({ ...log, pattern: new LogPattern(path) }))
    const life = restarts ? new Follower({ ...options, logs }) : follower
    if (restarts) life.adopt([...follower.entries], true)
    if (restarts) t.after(() => life.close())
    await life.look()
    return readAll(life)
  }
  return { folder, path, old, births, ino, lines }
}

for (const restarts of [false, true]) {
  const how = restarts ? 'stopped' : 'running'
  void test(`a job says the same again in the inode of the file that its rotation removed: its birth tells (${how})`, async (t) => {
    const { path, old, births, ino, lines } = await readTwo(t, 'done')
    renameSync(path, old)
    writeFileSync(path, 'done\n')
    births.add(path, ino)
    assert.deepEqual(await lines(restarts), ['done'])
  })

  void test(`what is put back with the time of its last write is the file that it was, in whichever inode (${how})`, async (t) => {
    const { old, births, ino, lines } = await readTwo(t, 'not done')
    writeFileSync(old, 'done\n')
    utimesSync(old, 1, 1)
    births.add(old, ino)
    assert.deepEqual(await lines(restarts), [])
  })

  void test(`in a folder that was put back an inode means nothing (${how})`, async (t) => {
    const { folder, old, births, ino, lines } = await readTwo(t, 'not done')
    births.add(folder)
    writeFileSync(old, 'done\n')
    births.add(old, ino)
    assert.deepEqual(await lines(restarts), [])
  })
}
