import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { stageCloud } from '../../infra/packages/cloud.ts'
import { freePort } from '../../local/free-port.ts'
import { eventually } from '../support/eventually.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const folder = mkdtempSync(join(tmpdir(), 'millrace-cloud-'))
after(() => rmSync(folder, { recursive: true }))
const outDir = join(folder, 'cloud')
stageCloud(outDir)
const run = promisify(execFile)

test('the lock fits the package, and brings nothing that only development needs', async () => {
  const npm = ['ci', '--dry-run', '--ignore-scripts', '--offline', '--no-audit', '--no-fund', '--loglevel=error']
  await run('npm', npm, { cwd: outDir })
  const lock = readFileSync(join(outDir, 'package-lock.json'), 'utf8')
  for (const name of ['kafkajs', '@google-cloud/functions-framework', 'snappy'])
    assert.match(lock, new RegExp(`"node_modules/${name}"`))
  for (const name of ['typescript', '@duckdb/node-api', 'esbuild', 'node'])
    assert.doesNotMatch(lock, new RegExp(`"node_modules/${name}"`))
})

test('the command runs, and every function can be served by its name', async (t) => {
  symlinkSync(join(ROOT, 'node_modules'), join(outDir, 'node_modules')) // in the place of npm ci
  assert.deepEqual(readdirSync(outDir).includes('local'), false)
  assert.match((await run(process.execPath, ['cli/main.js', '--help'], { cwd: outDir })).stdout, /^ {2}worker /m)
  assert.match((await run('npm', ['run', 'worker', '--', '--help'], { cwd: outDir })).stdout, /millrace worker/)

  const framework = join('node_modules', '@google-cloud', 'functions-framework', 'build', 'src', 'main.js')
  const names = readdirSync(join(outDir, 'functions'), { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() && entry.name !== 'kafka-worker' ? entry.name : [],
  )
  assert.ok(names.includes('chunk-load') && names.includes('kafka-drain'))
  for (const name of names) {
    const port = await freePort()
    const server = spawn(process.execPath, [framework, '--target', name, '--port', String(port)], { cwd: outDir })
    const ended = once(server, 'exit')
    t.after(() => server.kill('SIGKILL'))
    // This one reads bodies itself: the framework would answer what is no JSON.
    const broken = name === 'kafka-push' && { headers: { 'content-type': 'application/json' }, body: '{' }
    const response = await eventually(() => fetch(`http://127.0.0.1:${port}/`, { method: 'POST', ...broken }), {
      what: name,
    })
    // Without a configuration or a body none can work, but it is ours that says so.
    assert.match(await response.text(), /cannot read the configuration .*millrace\.yaml|^\{"error":"/, name)
    server.kill('SIGKILL')
    await ended
  }
})
