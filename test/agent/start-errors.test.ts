import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { startStorage } from '../../local/storage/index.ts'
import { agentBench } from '../support/agent.ts'
import { eventually } from '../support/eventually.ts'

const MAIN = join(import.meta.dirname, '..', '..', 'cli', 'main.ts')
/** All tests of a suite together, on a machine that does other things, too. */
const SUITE_MS = 300_000
/** Rights mean nothing to root: then the agent runs as somebody else. */
const NOBODY = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}

/** A folder of the user that the agent runs as. */
function makeFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-start-errors-'))
  if (NOBODY.uid) chownSync(folder, NOBODY.uid, NOBODY.gid)
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

interface Started {
  readonly child: ChildProcess
  output(): string
}

function start(t: TestContext, config: string, ...flags: string[]): Started {
  const child = spawn(process.execPath, [...flags, MAIN, 'agent', '--config', config], {
    ...NOBODY,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, MILLRACE_LOG_LEVEL: 'info' },
  })
  t.after(() => child.kill('SIGKILL'))
  let output = ''
  child.stderr.on('data', (piece: Buffer) => (output += piece.toString()))
  return { child, output: () => output }
}

/** Without Kafka, and with a bucket that is not asked before the first file is finished. */
function writeConfig(folder: string, agent: Record<string, unknown>, top: Record<string, unknown> = {}): string {
  const file = join(folder, 'millrace.yaml')
  const config = {
    project: 'p',
    dataset: 'd',
    bucket: 'chunks',
    routes: { lines: { format: 'raw', table: 'lines' } },
    endpoints: { storage: 'http://127.0.0.1:1' },
    agent: { id: 'start-errors', lock_file: join(folder, 'agent.lock'), ...agent },
    ...top,
  }
  writeFileSync(file, JSON.stringify(config))
  return file
}

const logs = (...paths: string[]) => ({ logs: paths.map((path) => ({ path, route: 'lines' })) })

interface Case {
  readonly name: string
  /** Makes the trouble in the folder, and gives the agent's configuration. */
  prepare(folder: string): Record<string, unknown>
  /** Behind the configuration's file. `F` stands for the folder. */
  readonly says: string
  readonly fix: RegExp
}

const PATH_FIX = /^fix: correct the path, or let the user that the agent runs as \(\d+\) read it$/m
const LOCK_FIX = /^fix: choose a file in a folder that the agent may write to$/m

const REFUSED: readonly Case[] = [
  {
    name: 'a folder that may not be listed',
    prepare(folder) {
      mkdirSync(join(folder, 'secret'), { mode: 0 })
      return logs(join(folder, 'secret', '*.log'))
    },
    says: 'agent.logs[0].path F/secret/*.log: F/secret cannot be read: EACCES',
    fix: PATH_FIX,
  },
  {
    name: 'a folder in one that may not be entered, the second of two',
    prepare(folder) {
      mkdirSync(join(folder, 'secret', 'logs'), { recursive: true })
      chmodSync(join(folder, 'secret'), 0)
      return logs(join(folder, 'good.log'), join(folder, 'secret', 'logs', 'app.log'))
    },
    says: 'agent.logs[1].path F/secret/logs/app.log: F/secret/logs cannot be read: EACCES',
    fix: PATH_FIX,
  },
  {
    name: 'a file that may not be read',
    prepare(folder) {
      writeFileSync(join(folder, 'app.log'), 'line\n', { mode: 0 })
      return logs(join(folder, 'app.log'))
    },
    says: 'agent.logs[0].path F/app.log: F/app.log cannot be read: EACCES',
    fix: PATH_FIX,
  },
  {
    name: 'a path through a file',
    prepare(folder) {
      writeFileSync(join(folder, 'app.log'), 'line\n')
      return logs(join(folder, 'app.log', 'more', '*.log'))
    },
    says: 'agent.logs[0].path F/app.log/more/*.log: a part of it is a file, nothing can lie in it',
    fix: PATH_FIX,
  },
  {
    name: 'a file in a file',
    prepare(folder) {
      writeFileSync(join(folder, 'app.log'), 'line\n')
      return logs(join(folder, 'app.log', 'app.log'))
    },
    says: 'agent.logs[0].path F/app.log/app.log: a part of it is a file, nothing can lie in it',
    fix: PATH_FIX,
  },
  {
    name: 'a folder in the place of a file, given as a relative path',
    prepare(folder) {
      mkdirSync(join(folder, 'logs'))
      return logs('logs')
    },
    says: 'agent.logs[0].path F/logs: it is a folder; for the files in it write F/logs/*',
    fix: PATH_FIX,
  },
  {
    name: 'a pattern that is none',
    prepare: (folder) => logs(join(folder, '[z-a].log')),
    says:
      'agent.logs[0].path F/[z-a].log: it is no pattern: ' +
      'Invalid regular expression: /^(?!\\.)[z-a]\\.log$/s: Range out of order in character class',
    fix: PATH_FIX,
  },
  {
    name: 'a lock file in a folder that may not be written to',
    prepare(folder) {
      mkdirSync(join(folder, 'locks'), { mode: 0o555 })
      return { ...logs(join(folder, 'app.log')), lock_file: join(folder, 'locks', 'agent.lock') }
    },
    says: "agent.lock_file F/locks/agent.lock: EACCES: permission denied, open 'F/locks/agent.lock'",
    fix: LOCK_FIX,
  },
  {
    name: 'a lock file whose folder cannot be made',
    prepare(folder) {
      writeFileSync(join(folder, 'file'), '')
      return { ...logs(join(folder, 'app.log')), lock_file: join(folder, 'file', 'locks', 'agent.lock') }
    },
    says: "agent.lock_file F/file/locks/agent.lock: ENOTDIR: not a directory, open 'F/file/locks/agent.lock'",
    fix: LOCK_FIX,
  },
  {
    name: 'a lock file that is a folder',
    prepare(folder) {
      mkdirSync(join(folder, 'locks'))
      return { ...logs(join(folder, 'app.log')), lock_file: join(folder, 'locks') }
    },
    says: "agent.lock_file F/locks: EISDIR: illegal operation on a directory, open 'F/locks'",
    fix: LOCK_FIX,
  },
  {
    name: 'a lock file that is something else',
    prepare(folder) {
      writeFileSync(join(folder, 'notes.txt'), 'not a lock at all'.repeat(100), { mode: 0o666 })
      if (NOBODY.uid) chownSync(join(folder, 'notes.txt'), NOBODY.uid, NOBODY.gid)
      return { ...logs(join(folder, 'app.log')), lock_file: join(folder, 'notes.txt') }
    },
    says: 'agent.lock_file F/notes.txt: file is not a database',
    fix: LOCK_FIX,
  },
]

void suite('the agent refuses to start, and says where and why', { concurrency: 2, timeout: SUITE_MS }, () => {
  for (const { name, prepare, says, fix } of REFUSED) {
    test(name, async (t) => {
      const folder = makeFolder(t)
      const config = writeConfig(folder, prepare(folder))
      const { child, output } = start(t, config)
      assert.deepEqual(await once(child, 'close'), [2, null], output())
      const lines = output().split('\n')
      assert.ok(lines.includes(`${config}: ${says.replaceAll('F/', `${folder}/`)}`), output())
      assert.match(output(), fix)
      assert.doesNotMatch(output(), /^ +at /m, 'no stack')
    })
  }

  test('what nobody expected ends it so that the service manager starts it again', async (t) => {
    const folder = makeFolder(t)
    writeFileSync(join(folder, 'app.log'), 'line\n')
    const broken = `import zlib from 'node:zlib'; import { syncBuiltinESMExports as sync } from 'node:module';
      zlib.crc32 = () => { throw new TypeError('broken') }; sync()`
    const flag = `--import=data:text/javascript,${encodeURIComponent(broken)}`
    const { child, output } = start(t, writeConfig(folder, logs(join(folder, 'app.log'))), flag)
    assert.deepEqual(await once(child, 'close'), [1, null])
    assert.match(output(), /TypeError: broken\n +at /)
  })

  test('a port that is taken', async (t) => {
    const server = createServer().listen(0, '127.0.0.1')
    t.after(() => server.close())
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const folder = makeFolder(t)
    const config = writeConfig(folder, { ...logs(join(folder, 'app.log')), port })
    const { child, output } = start(t, config)
    assert.deepEqual(await once(child, 'close'), [2, null])
    assert.ok(output().includes(`cannot listen on port ${port}: listen EADDRINUSE`))
    assert.ok(output().includes(`fix: correct agent.port in ${config}\n`))
  })
})

interface Told {
  readonly severity: string
  readonly about?: string
  readonly file?: string
  readonly key?: string
  readonly value?: string
  readonly fix?: string
  readonly message: string
}

function told(output: string): Told[] {
  return output
    .split('\n')
    .flatMap((line) => (line.startsWith('{') && line.endsWith('}') ? [JSON.parse(line) as Told] : []))
}

void suite('the agent starts, and says what is missing', { timeout: SUITE_MS }, () => {
  test('files that may come, and one that a pattern finds and that may not be read yet: the others are followed', async (t) => {
    const folder = makeFolder(t)
    const dataDir = mkdtempSync(join(tmpdir(), 'millrace-start-errors-'))
    const storage = await startStorage({ dataDir, buckets: ['chunks'] })
    t.after(async () => {
      await storage.stop()
      rmSync(dataDir, { recursive: true, force: true })
    })
    writeFileSync(join(folder, 'a.log'), 'line\n')
    writeFileSync(join(folder, 'b.log'), 'line\n', { mode: 0 })
    const agent = { ...logs(join(folder, '*.log'), join(folder, 'later', '*.log')), finish_after: '100ms' }
    const complete = agent.logs.map((log) => ({ ...log, complete: true }))
    const endpoints = { storage: storage.endpoint }
    const config = writeConfig(folder, { ...agent, logs: complete }, { endpoints })
    const { child, output } = start(t, config)
    const count = (text: string) => output().split(text).length - 1
    const uploaded = async () => {
      const list = await fetch(`${storage.endpoint}/storage/v1/b/chunks/o`)
      return ((await list.json()) as { items?: unknown[] }).items?.length ?? 0
    }
    await eventually(async () => (await uploaded()) === 1)
    assert.equal(count(`agent.logs[1].path ${folder}/later/*.log: no file matches, it may come`), 1, output())
    assert.equal(count(`${folder}/b.log is not followed: EACCES`), 1, output())
    chmodSync(join(folder, 'b.log'), 0o644) // which changes neither its size nor its time
    await eventually(async () => (await uploaded()) === 2)
    await eventually(() => count(`over: ${folder}/b.log is not followed: EACCES`) === 1)
    child.kill('SIGTERM')
    assert.deepEqual(await once(child, 'close'), [0, null])
  })

  test('a bucket that is not there, and brokers that do not answer: file, key, value and fix; it goes on', async (t) => {
    const folder = makeFolder(t)
    const dataDir = mkdtempSync(join(tmpdir(), 'millrace-start-errors-'))
    const storage = await startStorage({ dataDir, buckets: [] })
    t.after(async () => {
      await storage.stop()
      rmSync(dataDir, { recursive: true, force: true })
    })
    const config = writeConfig(folder, logs(join(folder, 'app.log')), {
      endpoints: { storage: storage.endpoint },
      kafka: { brokers: ['127.0.0.1:1'] },
      routes: { lines: { format: 'raw', table: 'lines', topic: 'lines' } },
    })
    const { child, output } = start(t, config)
    const about = (key: string) => eventually(() => told(output()).find((line) => line.key === key))
    const { message, fix, ...bucket } = await about('bucket')
    assert.deepEqual([bucket.file, bucket.value], [config, 'chunks'])
    assert.match(message, /^chunks wait, the bucket cannot be used: .*not exist/)
    assert.match(fix ?? '', /^create it, or give this account the right/)
    const kafka = await about('kafka.brokers')
    assert.deepEqual([kafka.file, kafka.value], [config, '127.0.0.1:1'])
    assert.match(kafka.message, /^not in touch with Kafka, trying again: .*ECONNREFUSED/)
    assert.match(kafka.fix ?? '', /^start the brokers/)
    child.kill('SIGTERM')
    await once(child, 'close')
  })

  test('no logs at all, and a warning of a library', async (t) => {
    const folder = makeFolder(t)
    const warn = '--import=data:text/javascript,process.on("SIGUSR2",()=>process.emitWarning("of a library"))'
    const { child, output } = start(t, writeConfig(folder, {}), warn)
    const line = await eventually(() => told(output()).find(({ key }) => key === 'agent.logs'))
    assert.deepEqual([line.severity, line.message], ['WARNING', 'there are no logs to follow'])
    child.kill('SIGUSR2')
    await eventually(() => output().includes('of a library'))
    assert.deepEqual(told(output()).length, output().trim().split('\n').length, 'warnings of libraries are JSON, too')
    child.kill('SIGTERM')
    assert.deepEqual(await once(child, 'close'), [0, null])
  })

  test('a topic that is not there', async (t) => {
    const bench = await agentBench(t, { paths: ['app.log'], route: { topic: 'no-such-topic' } })
    const agent = bench.start()
    const line = await eventually(() => told(agent.output()).find(({ about }) => about === 'no-such-topic'))
    assert.deepEqual([line.file, line.key, line.value], [bench.config, 'routes.lines.topic', 'no-such-topic'])
    assert.match(line.message, /^topic no-such-topic cannot be used: no topic no-such-topic$/)
    assert.match(line.fix ?? '', /^create the topic, or give this agent the right/)
    assert.equal(await agent.stop(), 0)
  })
})
