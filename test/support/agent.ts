import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { stringify } from 'yaml'
import { createTopics } from '../../local/kafka/index.ts'
import { connectKafka, type KafkaClient } from '../../shared/kafka/index.ts'
import { sharedBroker } from './broker.ts'

const RUN_AGENT = join(import.meta.dirname, 'run-agent.ts')
/** Names the bundle that is to be started instead of the sources: test/packaging/bundle.test.ts. */
export const BUNDLE = 'MILLRACE_TEST_BUNDLE'

/** A place where an agent can be started and killed: a folder for logs, a topic, a configuration. */
export interface AgentBench {
  readonly folder: string
  readonly topic: string
  readonly client: KafkaClient
  readonly brokers: string
  /** The configuration's file, to be changed between two lives. */
  readonly config: string
  /** With the bench's configuration, or another file. */
  start(from?: 'start' | 'end', file?: string): RunningAgent
}

export interface RunningAgent {
  readonly process: ChildProcess
  /** What it has said so far. */
  output(): string
  /** SIGKILL, and waits for its end. */
  kill(): Promise<void>
  /** SIGTERM, and waits for its end; returns the exit code. */
  stop(): Promise<number | null>
  /** Waits until it ends by itself; returns the exit code. */
  ended(): Promise<number | null>
}

export interface BenchOptions {
  /** Paths below the folder. */
  readonly paths: readonly string[]
  readonly partitions?: number
  readonly agent?: Record<string, unknown>
  readonly route?: Record<string, unknown>
  readonly top?: Record<string, unknown>
  /** What the agent connects to: a proxy before the broker. */
  readonly brokers?: string
  /** How many the agent may have; absent: as many as the test. */
  readonly descriptors?: number
  /** In place of the shared broker: one that the test may stop. */
  readonly ownBroker?: string
}

export async function agentBench(t: TestContext, options: BenchOptions): Promise<AgentBench> {
  const broker = options.ownBroker ? { brokers: options.ownBroker, unique: unique } : await sharedBroker()
  const folder = mkdtempSync(join(tmpdir(), 'millrace-agent-'))
  const topic = broker.unique('agent')
  const client = connectKafka({ brokers: [broker.brokers], auth: 'none', tls: false }, 'agent-test')
  await createTopics(client, [{ topic, partitions: options.partitions ?? 1 }])
  const config = join(folder, 'millrace.yaml')
  const agents: RunningAgent[] = []
  t.after(async () => {
    await Promise.all(agents.map((agent) => agent.kill()))
    await client.close()
    rmSync(folder, { recursive: true, force: true })
  })
  writeFileSync(
    config,
    stringify({
      project: 'test-project',
      dataset: 'logs',
      kafka: { brokers: [options.brokers ?? broker.brokers] },
      routes: { lines: { topic, format: 'raw', table: 'lines', ...options.route } },
      agent: {
        id: topic,
        logs: options.paths.map((path) => ({ path: join(folder, path), route: 'lines' })),
        finish_after: '2s',
        poll_interval: '200ms',
        lock_file: join(folder, 'agent.lock'),
        ...options.agent,
      },
      ...options.top,
    }),
  )
  const start = (from?: 'start' | 'end', file = config) => {
    const agent = startAgent(file, from, options.descriptors)
    agents.push(agent)
    return agent
  }
  return { folder, topic, client, brokers: broker.brokers, config, start }
}

function unique(base: string): string {
  return `${base}-${randomBytes(6).toString('hex')}`
}

function startAgent(config: string, from: 'start' | 'end' | undefined, descriptors?: number): RunningAgent {
  const bundle = process.env[BUNDLE]
  const args = bundle
    ? [bundle, 'agent', '--config', config, ...(from ? ['--from', from] : [])]
    : [RUN_AGENT, config, ...(from ? [from] : [])]
  const limit = descriptors === undefined ? '' : `ulimit -n ${descriptors} && `
  const shell = ['-c', `${limit}exec "$0" "$@"`, process.execPath, ...args]
  const process_ = spawn('/bin/sh', shell, { stdio: ['ignore', 'ignore', 'pipe'] })
  let output = ''
  process_.stderr.setEncoding('utf8').on('data', (piece: string) => (output += piece))
  const ended = once(process_, 'close') // not at its exit: what it said last may be under way then
  const end = async (signal: NodeJS.Signals) => {
    process_.kill(signal)
    await ended
  }
  return {
    process: process_,
    output: () => output,
    kill: () => end('SIGKILL'),
    ended: async () => {
      await ended
      return process_.exitCode
    },
    stop: async () => {
      await end('SIGTERM')
      return process_.exitCode
    },
  }
}
