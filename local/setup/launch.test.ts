import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'

const ROOT = join(import.meta.dirname, '..', '..')

/** Launches a program as npm scripts do; its folder lies in the repository, because programs are named from there. */
function launch(t: TestContext, code: string, ...args: string[]): ChildProcess {
  return spawn(process.execPath, command(t, code, ...args), { stdio: ['ignore', 'pipe', 2] })
}

function command(t: TestContext, code: string, ...args: string[]): string[] {
  mkdirSync(join(ROOT, '.millrace'), { recursive: true })
  const dir = mkdtempSync(join(ROOT, '.millrace', 'launch-test-'))
  t.after(() => rmSync(dir, { recursive: true }))
  writeFileSync(join(dir, 'program.ts'), code)
  return [join(import.meta.dirname, 'launch.js'), relative(ROOT, join(dir, 'program.ts')), ...args]
}

function output(child: ChildProcess): NodeJS.ReadableStream {
  assert.ok(child.stdout)
  return child.stdout
}

const WAITING = `
  process.on('SIGINT', () => { console.log('SIGINT'); process.exit(3) })
  process.on('SIGTERM', () => { console.log('SIGTERM'); process.exit(4) })
  console.log(process.pid)
  setInterval(() => {}, 1e6)`

test('the program runs in the Node of the lock file, with its arguments; its exit code comes back', async (t) => {
  const child = launch(t, 'console.log(process.version, process.argv.slice(2)); process.exitCode = 7', 'a b', '--c')
  const [said, [code]] = await Promise.all([text(output(child)), once(child, 'exit')])
  const { devDependencies } = (await import('../../package.json', { with: { type: 'json' } })).default
  assert.equal(said, `v${devDependencies.node} [ 'a b', '--c' ]\n`)
  assert.equal(code, 7)
})

test('a program that a signal ends gives the exit code that a shell would', async (t) => {
  const [code] = await once(launch(t, `process.kill(process.pid, 'SIGKILL')`), 'exit')
  assert.equal(code, 128 + 9)
})

for (const [signal, expected] of [
  ['SIGINT', 3],
  ['SIGTERM', 4],
] as const) {
  test(`${signal} goes through to the program`, async (t) => {
    const child = launch(t, WAITING)
    await once(output(child), 'data')
    child.kill(signal)
    const [[said], [code]] = await Promise.all([once(output(child), 'data'), once(child, 'exit')])
    assert.equal(String(said), `${signal}\n`)
    assert.equal(code, expected)
  })
}

test('the program ends in order when the launcher is killed', async (t) => {
  const child = launch(t, WAITING)
  await once(output(child), 'data')
  const rest = text(output(child))
  child.kill('SIGKILL')
  assert.equal(await rest, 'SIGTERM\n')
})

test('the program ends in order when npm is killed, the parent of the launcher', async (t) => {
  const args = [process.execPath, ...command(t, WAITING)]
  const npm = spawn('/bin/sh', ['-c', '"$@" & wait', 'sh', ...args], { stdio: ['ignore', 'pipe', 2] })
  await once(output(npm), 'data')
  const rest = text(output(npm))
  npm.kill('SIGKILL')
  assert.equal(await rest, 'SIGTERM\n')
})
