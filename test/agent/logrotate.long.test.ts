import { execFileSync, spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readdirSync, writeFileSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import assert from 'node:assert/strict'
import test from 'node:test'
import { type Matrix, runCase, stopped } from '../support/agent-matrix.ts'
import { needsTool } from '../support/tools.ts'

/** Names of rotated files would repeat within a second; logrotate is run less often than that. */
const EVERY_MS = 1100
const LATE_LINES = 30

const INSTALLED = spawnSync('logrotate', ['--version']).status === 0

/** The ways to rotate, as logrotate(8) has them, and the patterns that an agent would be given. */
const MODES: Readonly<Record<string, { directives: readonly string[]; paths: readonly string[]; late?: boolean }>> = {
  create: { directives: ['create'], paths: ['app.log'], late: true },
  'create, glob': { directives: ['create'], paths: ['app.log*'], late: true },
  copytruncate: { directives: ['copytruncate'], paths: ['app.log'] },
  'copytruncate, glob': { directives: ['copytruncate'], paths: ['app.log*'] },
  compress: { directives: ['create', 'compress'], paths: ['app.log'] },
  'compress, glob': { directives: ['create', 'compress'], paths: ['app.log*'] },
  'copytruncate and compress': { directives: ['copytruncate', 'compress'], paths: ['app.log*'] },
  delaycompress: { directives: ['create', 'compress', 'delaycompress'], paths: ['app.log'], late: true },
  'delaycompress, glob': { directives: ['create', 'compress', 'delaycompress'], paths: ['app.log*'], late: true },
  dateext: { directives: ['create', 'dateext', 'dateformat -%Y%m%d-%s'], paths: ['app.log'], late: true },
  'dateext and delaycompress': {
    directives: ['create', 'dateext', 'dateformat -%Y%m%d-%s', 'compress', 'delaycompress'],
    paths: ['app.log'],
    late: true,
  },
  olddir: { directives: ['create', 'olddir old'], paths: ['app.log', 'old/app.log'], late: true },
  'olddir and copytruncate': { directives: ['copytruncate', 'olddir old'], paths: ['app.log', 'old/app.log'] },
  'olddir and compress, glob': { directives: ['create', 'olddir old', 'compress'], paths: ['**/app.log*'] },
}

/** Rotates once; `late`: who has the file open goes on writing to it, as an application does until it is told. */
function rotator({ path, writer }: Matrix, directives: readonly string[], late = false): () => void {
  const folder = dirname(path)
  const config = join(folder, 'logrotate.conf')
  mkdirSync(join(folder, 'old'), { recursive: true })
  writeFileSync(config, `${path} {\n  rotate 100\n  missingok\n  ${directives.join('\n  ')}\n}\n`, { mode: 0o600 })
  return () => {
    const open = openSync(path, 'a')
    execFileSync('logrotate', ['--force', '--state', join(folder, 'logrotate.state'), config])
    if (late) writeSync(open, writer.lines(LATE_LINES))
    closeSync(open)
  }
}

for (const [name, { directives, paths, late }] of Object.entries(MODES)) {
  void test(`logrotate, live: ${name}`, async (t) => {
    if (!needsTool(t, 'logrotate', INSTALLED, 'apt-get install logrotate')) return
    const act = async (m: Matrix) => {
      m.run()
      await m.stream(5000, rotator(m, directives, late), EVERY_MS)
      const rotated = readdirSync(dirname(m.path), { recursive: true }).filter((file) => /app\.log./.test(String(file)))
      assert.ok(rotated.length >= 3, 'logrotate has rotated')
    }
    await runCase(t, act, ...paths)
  })

  void test(`logrotate, while the agent is stopped: ${name}`, async (t) => {
    if (!needsTool(t, 'logrotate', INSTALLED, 'apt-get install logrotate')) return
    const act = async (m: Matrix) => {
      await stopped(m)
      const rotate = rotator(m, directives)
      for (let i = 0; i < 2; i++) {
        m.writer.write(5000)
        rotate()
        const second = Math.floor(Date.now() / 1000)
        while (Math.floor(Date.now() / 1000) === second) await new Promise((resolve) => setTimeout(resolve, 50))
      }
      m.writer.write(7000)
      m.run()
    }
    await runCase(t, act, ...paths)
  })
}
