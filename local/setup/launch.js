// Runs a program of this repository on a fresh clone:  node launch.js PROGRAM.ts [ARGUMENT...]
// Plain JavaScript for Node 20 and later, without packages: nothing is installed yet. It installs what is missing and
// starts PROGRAM in the Node that package.json pins. (`npm run` of two commands in a row would not do: the shell may
// remember where the old node is; and they say `exec`, because a shell in between would keep npm's signals to itself.)
// Signals go through to PROGRAM, and its exit code comes back; when npm is killed PROGRAM ends too.
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureInstalled } from './install.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const LOOK_FOR_PARENT_MS = 500
const withParent = new URL('with-parent.js', import.meta.url).href

try {
  const node = await ensureInstalled(root)
  const [program, ...args] = process.argv.slice(2)
  process.exitCode = await runProgram(node, join(root, program), args)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 2
}

/** The program's exit code, or 128 and its signal's number, as a shell says it. */
function runProgram(node, program, args) {
  const child = spawn(node, ['--import', withParent, program, ...args], {
    stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
    env: { ...process.env, MILLRACE_PARENT_FD: '3' },
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      // A terminal sends Ctrl-C to the program by itself; a second one would mean "at once".
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
    })
  }
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    child.kill('SIGTERM')
  }, LOOK_FOR_PARENT_MS)
  timer.unref()
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal]))
  })
}
