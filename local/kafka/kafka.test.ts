import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Kafka, logLevel, type SASLOptions } from 'kafkajs'
import { eventually } from '../../test/support/eventually.ts'
import { isAlive } from '../../test/support/start.ts'
import { findJars } from './jars.ts'
import { findJava } from './java.ts'
import { type KafkaOptions, type RunningKafka, startKafka } from './index.ts'

const ENV = { ...process.env, KAFKA_BROKERS: '', KAFKA_HOME: '' }

/** Its name is one that a user's folder may have. */
function folder(t: TestContext): string {
  const dataDir = mkdtempSync(join(tmpdir(), 'millrace kafka-tést 日本-'))
  t.after(() => rmSync(dataDir, { recursive: true, force: true, maxRetries: 3 }))
  return dataDir
}

async function start(t: TestContext, options: KafkaOptions): Promise<RunningKafka> {
  const kafka = await startKafka({ env: ENV, ...options })
  t.after(() => kafka.stop())
  return kafka
}

function connect(t: TestContext, brokers: string, sasl?: SASLOptions) {
  const retry = { initialRetryTime: 50, factor: 0.1, multiplier: 1.5, retries: 12 }
  const kafka = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING, retry, ...(sasl && { sasl }) })
  const admin = kafka.admin()
  t.after(() => admin.disconnect())
  return { kafka, admin }
}

async function produce(kafka: Kafka, topic: string, value: string): Promise<void> {
  const producer = kafka.producer({ transactionalId: `t-${value}`, maxInFlightRequests: 1, idempotent: true })
  await producer.connect()
  const transaction = await producer.transaction()
  await transaction.send({ topic, messages: [{ value }] })
  await transaction.commit()
  await producer.disconnect()
}

/** What was committed first, in a topic of one partition. */
async function firstValues(kafka: Kafka, topic: string, count: number): Promise<string[]> {
  const consumer = kafka.consumer({ groupId: 'reader' })
  const values: string[] = []
  await consumer.connect()
  try {
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({ eachMessage: async ({ message }) => void values.push(String(message.value)) })
    await eventually(() => values.length >= count, { what: `${count} values` })
  } finally {
    await consumer.disconnect()
  }
  return values
}

/** A process of its own that starts a broker and then waits; its first line is the broker's pid. */
async function otherOwner(t: TestContext, dataDir: string): Promise<{ owner: ChildProcess; broker: number }> {
  const code = `
    const { startKafka } = await import(${JSON.stringify(join(import.meta.dirname, 'index.ts'))})
    const kafka = await startKafka({ dataDir: ${JSON.stringify(dataDir)} })
    console.log(kafka.pid)
    setInterval(() => {}, 1e6)`
  const owner = spawn(process.execPath, ['--input-type=module', '-e', code], { env: ENV, stdio: ['ignore', 'pipe', 2] })
  t.after(() => owner.kill('SIGKILL'))
  const [line] = (await once(owner.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
  return { owner, broker: Number(line.toString()) }
}

test('it serves transactions on 127.0.0.1, keeps data over a restart and a kill, and creates no topic by itself', async (t) => {
  const dataDir = folder(t)
  const running = await start(t, { dataDir })
  assert.match(running.brokers, /^127\.0\.0\.1:\d+$/)
  assert.equal(running.topicPrefix, '')

  const { kafka, admin } = connect(t, running.brokers)
  await admin.connect()
  assert.equal((await admin.describeCluster()).clusterId, Buffer.from('millrace-local-1').toString('base64url'))
  await admin.createTopics({ topics: [{ topic: 'kept', numPartitions: 1 }], waitForLeaders: true })
  await produce(kafka, 'kept', 'one')
  await running.restart()
  await produce(kafka, 'kept', 'two')
  await running.kill()
  assert.equal(running.pid, undefined)
  await running.restart()
  await produce(kafka, 'kept', 'three')
  // Not by offsets: the marker of a transaction that ended shortly before the kill is written once more after it.
  assert.deepEqual(await firstValues(kafka, 'kept', 3), ['one', 'two', 'three'])
  await assert.rejects(admin.fetchTopicMetadata({ topics: ['absent'] }), /does not host this topic-partition/)
  assert.deepEqual(
    (await admin.listTopics()).filter((topic) => !topic.startsWith('__')),
    ['kept'],
  )
})

test('users authenticate with PLAIN and SCRAM on extra listeners', async (t) => {
  const login = 'org.apache.kafka.common.security'
  const running = await start(t, {
    dataDir: folder(t),
    listeners: [{ name: 'LOGIN', protocol: 'SASL_PLAINTEXT' }],
    properties: {
      'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-512',
      'listener.name.login.plain.sasl.jaas.config': `${login}.plain.PlainLoginModule required user_ann="secret";`,
      'listener.name.login.scram-sha-512.sasl.jaas.config': `${login}.scram.ScramLoginModule required;`,
    },
    scramUsers: [{ mechanism: 'SCRAM-SHA-512', name: 'bob', password: 'hidden' }],
  })
  const address = running.listeners['LOGIN'] ?? ''
  const topics = async (sasl: SASLOptions) => {
    const { admin } = connect(t, address, sasl)
    await admin.connect()
    return admin.listTopics()
  }
  assert.deepEqual(await topics({ mechanism: 'plain', username: 'ann', password: 'secret' }), [])
  assert.deepEqual(await topics({ mechanism: 'scram-sha-512', username: 'bob', password: 'hidden' }), [])
  await assert.rejects(topics({ mechanism: 'plain', username: 'ann', password: 'wrong' }), /Authentication/i)
})

test('the broker ends with its owner, though the owner is killed', async (t) => {
  const { owner, broker } = await otherOwner(t, folder(t))
  assert.ok(isAlive(broker))
  owner.kill('SIGKILL')
  await eventually(() => !isAlive(broker))
})

test('a broker that was left behind is ended by the next start; one with a living owner is respected', async (t) => {
  const dataDir = folder(t)
  const { owner, broker } = await otherOwner(t, dataDir)
  await assert.rejects(startKafka({ dataDir, env: ENV }), (error: Error) => {
    assert.equal(error.name, 'UserError')
    assert.match(error.message, new RegExp(`process ${owner.pid} runs Kafka on this data folder already`))
    return true
  })
  // A power failure of everything but the broker cannot be had; a note that names a dead owner is the same to the next start.
  const note = join(dataDir, 'run', 'kafka.json')
  const claim = JSON.parse(readFileSync(note, 'utf8')) as { owner: { started: string } }
  claim.owner.started = 'another life'
  writeFileSync(note, JSON.stringify(claim))
  const running = await start(t, { dataDir })
  assert.ok(!isAlive(broker))
  assert.notEqual(running.pid, broker)
})

test('a crash is told, with the last lines of the log', async (t) => {
  const { promise, resolve } = Promise.withResolvers<Error>()
  const running = await start(t, { dataDir: folder(t), onCrash: resolve })
  process.kill(running.pid ?? 0, 'SIGKILL')
  const error = await promise
  assert.match(error.message, /Kafka ended by itself; its last lines:\n.*Kafka Server started/s)
})

test('broken data give one error with the last lines of the log and the way out', async (t) => {
  const dataDir = folder(t)
  const first = await startKafka({ dataDir, env: ENV })
  await first.stop()
  writeFileSync(join(dataDir, 'kafka', 'data', 'meta.properties'), 'version=1\nnode.id=7\ncluster.id=another\n')
  await assert.rejects(startKafka({ dataDir, env: ENV }), (error: Error & { fix?: string }) => {
    assert.equal(error.name, 'UserError')
    assert.match(error.message, /^Kafka did not start; its last lines:\n.*Stored node id 7 doesn't match [^\t]*$/s)
    assert.match(error.fix ?? '', /logs\/kafka\.log.*remove .*kafka and start again/)
    return true
  })
})

test('a busy port is refused before anything starts', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as { port: number }
  await assert.rejects(startKafka({ dataDir: folder(t), port, env: ENV }), {
    name: 'UserError',
    message: `port ${port} on 127.0.0.1 is in use, Kafka cannot listen there`,
  })
})

test('KAFKA_BROKERS is used as it is: names are bounded, and it is nobody here who may stop it', async () => {
  const running = await startKafka({ dataDir: '/nowhere', env: { KAFKA_BROKERS: 'k1:9092' } })
  assert.equal(running.brokers, 'k1:9092')
  assert.equal(running.topicPrefix, 'millrace-demo-')
  await running.stop()
  await assert.rejects(running.kill(), /not Millrace's to stop/)
})

test('KAFKA_HOME is used when it holds Kafka 4, and refused otherwise', async (t) => {
  const jars = await findJars({ env: process.env, say: () => undefined })
  assert.ok('dir' in jars)
  const home = folder(t)
  symlinkSync(jars.dir, join(home, 'libs'))
  const running = await start(t, { dataDir: folder(t), env: { KAFKA_HOME: home } })
  assert.match(running.name, new RegExp(`^Kafka of ${home} on Java`))
  await assert.rejects(startKafka({ dataDir: folder(t), env: { KAFKA_HOME: '/nowhere' } }), /holds no Kafka 4/)
})

/** Starts a broker in a process whose PATH holds only `bin`, and returns what it prints. */
async function startWithPath(t: TestContext, bin: string): Promise<string> {
  const code = `
    const { startKafka } = await import(${JSON.stringify(join(import.meta.dirname, 'index.ts'))})
    try {
      const kafka = await startKafka({ dataDir: ${JSON.stringify(folder(t))}, say() {} })
      console.log(kafka.name)
      await kafka.stop()
    } catch (error) {
      console.log(error.name, error.message, error.fix)
    }`
  const env = { HOME: process.env['HOME'], PATH: bin }
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { env, stdio: ['ignore', 'pipe', 2] })
  assert.ok(child.stdout)
  return text(child.stdout)
}

test('without Java and Docker the error names the ways', async (t) => {
  const said = await startWithPath(t, folder(t))
  assert.match(said, /^UserError no way to run Kafka on this machine: no Java was found; no Docker daemon answers/)
  for (const way of ['Maven', 'Docker', 'KAFKA_HOME', 'KAFKA_BROKERS']) assert.ok(said.includes(way), way)
})

test('without Java it runs in Docker, published on 127.0.0.1 only', async (t) => {
  const [jars, java] = [await findJars({ env: process.env, say: () => undefined }), await findJava(process.env)]
  assert.ok('dir' in jars && 'path' in java)
  // The double takes the arguments that the real client would get, and runs the same programs without a container.
  const bin = folder(t)
  const docker = `#!/bin/sh
echo "$*" >> "${bin}/calls"
case "$1" in version) echo 99; exit ;; rm) exit ;; esac
while [ "$1" != --entrypoint ]; do shift; done
script=$2; shift 3
case "$script" in
  */kafka-storage.sh) exec ${java.path} -cp ${jars.classpath} kafka.tools.StorageTool "$@" ;;
  *) /usr/bin/sed -i 's/0[.]0[.]0[.]0/127.0.0.1/g' "$1"
     exec ${java.path} -Dlog4j2.configurationFile=${import.meta.dirname}/log4j2.properties -cp ${jars.classpath} kafka.Kafka "$1" ;;
esac
`
  mkdirSync(dirname(join(bin, 'docker')), { recursive: true })
  writeFileSync(join(bin, 'docker'), docker, { mode: 0o755 })
  assert.match(await startWithPath(t, bin), /^Kafka 4\.1\.\d+ in Docker 99\n/)
  const calls = readFileSync(join(bin, 'calls'), 'utf8')
  assert.match(calls, /^run --rm .* apache\/kafka:4\.1\.\d+ format -c .* -t /m)
  assert.match(calls, /^run --rm .*--name millrace-kafka-[0-9a-f]+ -p 127\.0\.0\.1:(\d+):\1 /m)
})
