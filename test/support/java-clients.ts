import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { findJars } from '../../local/kafka/jars.ts'
import { needsTool } from './tools.ts'

const SOURCE = join(import.meta.dirname, 'JavaClients.java')
const run = promisify(execFile)

/**
 * Runs `JavaClients.java` with Kafka's own Java client, from the broker's jars; gives back what it printed. Undefined, and the test
 * skipped, where there is no Java compiler or no jars.
 */
export async function findJavaClients(
  t: TestContext,
): Promise<((...args: readonly string[]) => Promise<string>) | undefined> {
  const hasCompiler = await run('javac', ['-version']).then(
    () => true,
    () => false,
  )
  if (!needsTool(t, 'javac', hasCompiler, 'apt-get install default-jdk-headless')) return undefined
  const jars = await findJars({ env: process.env, say: () => undefined })
  if (!needsTool(t, "the broker's jars", 'classpath' in jars && existsSync(jars.dir))) return undefined
  const { classpath } = jars as { classpath: string }
  return async (...args) => (await run('java', ['-Xmx512m', '-cp', classpath, SOURCE, ...args])).stdout.trim()
}
