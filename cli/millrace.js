#!/usr/bin/env node
// The command `millrace`. Plain JavaScript, so that any Node can read it: it finds Node 24 and starts the rest there.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const NODE_MAJOR_MIN = 24
const main = fileURLToPath(new URL('./main.ts', import.meta.url))

if (Number(process.versions.node.split('.')[0]) >= NODE_MAJOR_MIN) {
  const { run } = await import(main)
  await run(process.argv.slice(2))
} else {
  const node = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url))
  if (existsSync(node)) startWith(node)
  else {
    process.stderr.write(
      `millrace: this is Node ${process.versions.node}, and Millrace needs ${NODE_MAJOR_MIN} or later\nfix: run npm ci in Millrace's folder (it brings its own), or install Node ${NODE_MAJOR_MIN}\n`,
    )
    process.exitCode = 2
  }
}

/** Runs the same command in Node 24: signals go through, and so does the exit code. */
function startWith(node) {
  const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => {
    if (signal) {
      process.removeAllListeners(signal)
      process.kill(process.pid, signal)
    } else process.exitCode = code ?? 1
  })
}
