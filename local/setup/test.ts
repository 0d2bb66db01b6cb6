import { spawn } from 'node:child_process'
import { globSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { messageOf } from '../../shared/errors.ts'
import { PATIENT, type RunningKafka, startKafka } from '../kafka/index.ts'
import { parseTestArguments, selectTests } from './arguments.ts'

/** `npm test` and `npm run test:long`: node's own runner over the tests, with one Kafka broker for all that ask for it. */

/** A test that hangs is reported, rather than the whole run; long ones have their own clock for seeds. The machine may be busy. */
const TEST_TIMEOUT_MS = 240_000
const LONG_TEST_TIMEOUT_MS = 600_000
const TESTS = '{agent,functions,shared,cli,local,infra,test,examples}/**/*.test.ts'

const root = join(import.meta.dirname, '..', '..')
const asked = parseTestArguments(process.argv.slice(2))
const files = selectTests(globSync(TESTS, { cwd: root, exclude: ['**/node_modules/**'] }).sort(), asked)

if (files.length === 0) {
  process.stderr.write(`no ${asked.long ? 'long ' : ''}test is at ${asked.paths.join(', ') || TESTS}\n`)
  process.exitCode = 1
} else {
  process.exitCode = await runTests()
}

async function runTests(): Promise<number> {
  const dataDir = mkdtempSync(join(tmpdir(), 'millrace-test-'))
  const broker = await serveBroker(dataDir)
  try {
    return await runNode(broker.url)
  } finally {
    await broker.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
}

function runNode(brokerUrl: string): Promise<number> {
  const timeout = asked.long ? LONG_TEST_TIMEOUT_MS : TEST_TIMEOUT_MS
  const options = [
    '--test',
    '--test-reporter=spec',
    `--test-concurrency=${availableParallelism()}`,
    `--test-timeout=${timeout}`,
  ]
  const child = spawn(process.execPath, [...options, ...asked.flags, ...files], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, MILLRACE_TEST_BROKER_URL: brokerUrl },
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal))
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  child.once('error', reject)
  child.once('exit', (code) => resolve(code ?? 1))
  return promise
}

/** Answers test/support/broker.ts; the first question starts the broker, so that a run without Kafka tests has none. */
async function serveBroker(dataDir: string): Promise<{ url: string; stop(): Promise<void> }> {
  let kafka: Promise<RunningKafka> | undefined
  const server = createServer((_request, response) => {
    kafka ??= startKafka({ dataDir, properties: PATIENT })
    kafka.then(
      ({ brokers, topicPrefix }) => response.end(JSON.stringify({ brokers, topicPrefix })),
      (error: unknown) => response.writeHead(503).end(messageOf(error)),
    )
  })
  const { promise, resolve } = Promise.withResolvers<void>()
  server.listen(0, '127.0.0.1', resolve)
  await promise
  const stop = async () => {
    server.close()
    server.closeAllConnections()
    await kafka?.then(
      (running) => running.stop(),
      () => undefined,
    )
  }
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, stop }
}
