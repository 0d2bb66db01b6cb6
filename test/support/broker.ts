import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PATIENT, startKafka } from '../../local/kafka/index.ts'

/** A broker that tests share: create topics with names of your own, stop or kill it never (start your own for that). */
export interface SharedBroker {
  /** Bootstrap address: `127.0.0.1:23456`. */
  readonly brokers: string
  /** A name for a topic or a group that no other test has; the caller creates the topic. */
  unique(base: string): string
}

/** Where `npm test` answers with its broker; the first question starts it. */
const LAUNCHER_URL = 'MILLRACE_TEST_BROKER_URL'

interface Answer {
  brokers: string
  topicPrefix: string
}

let shared: Promise<SharedBroker> | undefined

/** The broker of this test run; a test file that is run alone starts its own, which ends with the process. */
export function sharedBroker(): Promise<SharedBroker> {
  shared ??= find()
  return shared
}

async function find(): Promise<SharedBroker> {
  const url = process.env[LAUNCHER_URL]
  const { brokers, topicPrefix } = url === undefined ? await startOwn() : await askLauncher(url)
  return { brokers, unique: (base) => `${topicPrefix}${base}-${randomBytes(6).toString('hex')}` }
}

async function askLauncher(url: string): Promise<Answer> {
  const response = await fetch(url)
  if (!response.ok) throw new Error(await response.text())
  return (await response.json()) as Answer
}

async function startOwn(): Promise<Answer> {
  const dataDir = mkdtempSync(join(tmpdir(), 'millrace-test-kafka-'))
  const kafka = await startKafka({ dataDir, properties: PATIENT })
  kafka.unref()
  process.once('exit', () => {
    if (kafka.pid !== undefined) process.kill(kafka.pid, 'SIGKILL')
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 3 })
  })
  return kafka
}
