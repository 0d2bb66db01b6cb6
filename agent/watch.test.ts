import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { eventually } from '../test/support/eventually.ts'
import { FolderWatch } from './watch.ts'

void test('a folder that was made again, and one that a link leads to now, are watched', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-watch-'))
  const [made, current] = [join(folder, 'made'), join(folder, 'current')]
  const told = new Set<string | null>()
  const watch = new FolderWatch((name) => told.add(name))
  t.after(() => {
    watch.follow([])
    rmSync(folder, { recursive: true })
  })
  for (const name of ['made', 'v1', 'v2']) mkdirSync(join(folder, name))
  symlinkSync('v1', current)
  const isTold = async (path: string, name: string) => {
    watch.follow([made, current])
    writeFileSync(join(path, name), '')
    await eventually(() => told.has(name), { what: `${name} in ${path} is told` })
  }
  await isTold(made, 'first')
  await isTold(current, 'old')
  rmSync(made, { recursive: true })
  await eventually(() => told.has('made'))
  mkdirSync(made)
  await isTold(made, 'second')
  rmSync(current)
  symlinkSync('v2', current)
  await isTold(current, 'new')
})
