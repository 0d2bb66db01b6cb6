import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { findJars } from '../../local/kafka/jars.ts'
import { needsTool } from './tools.ts'

const SOURCE = join(import.meta.dirname, 'JavaClients.java')
const CONSOLE_PRODUCER = 'org.apache.kafka.tools.ConsoleProducer'
const run = promisify(execFile)

/** Kafka's own Java clients, from the broker's jars. */
export interface JavaClients {
  /** Runs `JavaClients.java`; gives back what it printed. */
  run(...args: readonly string[]): Promise<string>
  /** Kafka's console producer: each line is an event, and `NULL` a tombstone. */
  consoleProducer(brokers: string, topic: string, compression: string, lines: readonly string[]): Promise<void>
}

/** Undefined, and the test skipped, where there is no Java compiler or no jars. */
export async function findJavaClients(t: TestContext): Promise<JavaClients | undefined> {
  const hasCompiler = await run('javac', ['-version']).then(
    () => true,
    () => false,
  )
  if (!needsTool(t, 'javac', hasCompiler, 'apt-get install default-jdk-headless')) return undefined
  const jars = await findJars({ env: process.env, say: () => undefined })
  if (!needsTool(t, "the broker's jars", 'classpath' in jars && existsSync(jars.dir))) return undefined
  const { classpath } = jars as { classpath: string }
  return {
    run: async (...args) => (await run('java', ['-Xmx512m', '-cp', classpath, SOURCE, ...args])).stdout.trim(),
    async consoleProducer(brokers, topic, compression, lines) {
      const args = ['--bootstrap-server', brokers, '--topic', topic, '--compression-codec', compression]
      const running = run('java', [
        '-Xmx512m',
        '-cp',
        classpath,
        CONSOLE_PRODUCER,
        ...args,
        '--property',
        'null.marker=NULL',
      ])
      running.child.stdin?.end(lines.map((line) => `${line}\n`).join(''))
      await running
    },
  }
}
