import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import { promisify } from 'node:util'
import manifest from '../../package.json' with { type: 'json' }
import { buildDeb } from '../../infra/packages/deb.ts'
import { needsTool } from '../support/tools.ts'

// What can be said of the package without installing it; its life on a host is in deb.long.test.ts.

const run = async (command: string, ...args: string[]) => (await promisify(execFile)(command, args)).stdout

test('the package: who may read what, what is configuration, and a program that runs on its own Node', async (t) => {
  const found = process.platform === 'linux' && spawnSync('dpkg-deb', ['--version']).status === 0
  if (!needsTool(t, 'dpkg-deb', found, 'apt-get install dpkg')) return
  const folder = mkdtempSync(join(tmpdir(), 'millrace-deb-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const build = (name: string) => buildDeb({ outDir: join(folder, name), version: '1.2.3', compression: 'none' })
  const { file } = await build('first')

  const listed = (await run('dpkg-deb', '--contents', file)).trimEnd().split('\n')
  const modes = new Map(listed.map((line) => [line.split(' ').at(-1)!, line.slice(0, 10)]))
  assert.ok(listed.every((line) => / root\/root /.test(line)))
  assert.equal(modes.get('./etc/millrace/millrace.env'), '-rw-------')
  assert.equal(modes.get('./etc/millrace/millrace.yaml'), '-rw-r--r--')
  assert.equal(modes.get('./usr/bin/millrace'), '-rwxr-xr-x')
  const configuration = [...modes.keys()].filter((path) => path.startsWith('./etc/') && !path.endsWith('/'))
  assert.deepEqual(
    (await run('dpkg-deb', '--info', file, 'conffiles')).trimEnd().split('\n'),
    configuration.map((path) => path.slice(1)).sort(),
  )

  const tree = join(folder, 'tree')
  await run('dpkg-deb', '--extract', file, tree)
  const lib = join(tree, 'usr', 'lib', 'millrace')
  assert.match(await run(join(lib, 'node'), join(lib, 'millrace.mjs'), '--version'), /^millrace 1\.2\.3 /)
  assert.equal(await run(join(lib, 'node'), '--version'), `v${manifest.devDependencies.node}\n`)

  assert.equal(
    await sha256((await build('second')).file),
    await sha256(file),
    'who builds it again gets the same bytes',
  )
})

test("systemd's own judgement of what the unit may do", async (t) => {
  // Without an installation it can be asked since version 250.
  const version = Number(
    /\d+/.exec(spawnSync('systemd-analyze', ['--version'], { encoding: 'utf8' }).stdout ?? '')?.[0],
  )
  if (!needsTool(t, 'systemd-analyze 250', version >= 250)) return
  const unit = join(
    import.meta.dirname,
    '../../infra/packages/debian/root/usr/lib/systemd/system/millrace-agent.service',
  )
  const verdict = await run('systemd-analyze', 'security', '--offline=true', '--threshold=20', '--no-pager', unit)
  assert.match(verdict, /Overall exposure level for millrace-agent\.service/)
})

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return hash.digest('hex')
}
