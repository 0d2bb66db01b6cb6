import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { administer } from '../local/kafka/index.ts'
import { runAgent } from '../agent/index.ts'
import { drain } from '../functions/kafka-drain/index.ts'
import { type Config, type KafkaConfig, loadConfig } from '../shared/config/index.ts'
import { topicOffsets } from '../shared/kafka/index.ts'
import { createLog } from '../shared/telemetry/index.ts'
import { createAuthority } from './support/certificates.ts'
import { eventually } from './support/eventually.ts'
import { openPipeline, type Pipeline } from './support/pipeline.ts'
import { startSecureBroker, unsecuredToken } from './support/secure-broker.ts'

type Auth = Omit<KafkaConfig, 'brokers'>
const EVENTS = 25
/** Of Kafka's protocol: kinds of resources, of their names and of rights, and what may be done. */
const [TOPIC, GROUP, TRANSACTIONAL_ID, LITERAL, PREFIXED, ALLOW, READ, WRITE, DESCRIBE] = [2, 3, 5, 3, 4, 3, 3, 4, 8]
const ANY = 1

/** The pipeline's configuration with another way to its broker, and an agent. */
function configured({ folder, configFile }: Pipeline, address: string, auth: Auth) {
  const file = join(folder, 'secure.yaml')
  const kafka = `kafka: ${JSON.stringify({ brokers: [address], ...auth })}`
  const logs = [{ path: join(folder, 'visits.log'), route: 'visits' }]
  const agent = `agent: ${JSON.stringify({ id: 'secure', logs, lock_file: join(folder, 'agent.lock') })}`
  writeFileSync(file, `${readFileSync(configFile, 'utf8').replace(/^kafka: .*$/m, kafka)}${agent}\n`)
  return loadConfig(file, {})
}

/** Has an agent with this configuration carry the log's new lines, until the topic is longer by as many. */
async function carry(config: Config, { kafka, topics, folder }: Pipeline, lines: readonly string[]): Promise<void> {
  const length = async () =>
    (await topicOffsets(kafka, [topics['visits'] ?? ''])).reduce((sum, { end, start }) => sum + end - start, 0)
  const before = await length()
  appendFileSync(join(folder, 'visits.log'), lines.map((line) => `${line}\n`).join(''))
  const stop = new AbortController()
  const running = runAgent(config, { signal: stop.signal, read: () => config })
  running.catch(() => undefined)
  await Promise.race([running, eventually(async () => (await length()) >= before + lines.length)])
  stop.abort()
  await running
}

void test('agent and consumer authenticate in every way against a real broker, and carry each event once', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'millrace-secure-'))
  t.after(() => rmSync(dataDir, { recursive: true, force: true, maxRetries: 3 }))
  const authority = createAuthority()
  const kafka = await startSecureBroker(dataDir, authority)
  const unique = (base: string) => `${base}-${randomBytes(4).toString('hex')}`
  const broker = { brokers: kafka.brokers, unique }
  const pipeline = await openPipeline(t, { broker, routes: { visits: 'schema: visit.proto#shop.Visit' } })
  t.after(() => kafka.stop())
  const file = (name: string, text: string) => {
    writeFileSync(join(dataDir, name), text)
    return { file: join(dataDir, name) }
  }
  const password = file('password', 'secret\n')
  const ca_file = file('ca.pem', authority.cert).file
  const client = authority.issue('client')
  const mine = {
    ca_file,
    cert_file: file('client.pem', client.cert).file,
    key_file: file('client.key', client.key).file,
  }
  const sasl = (mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512', username: string): Auth => ({
    auth: 'sasl',
    tls: false,
    sasl: { mechanism, username, password },
  })
  const token = { mechanism: 'oauthbearer', password: file('token', unsecuredToken()) } as const
  const ways: readonly (readonly [name: string, listener: string, auth: Auth])[] = [
    ['SASL PLAIN', 'LOGIN', sasl('plain', 'alice')],
    ['SCRAM-SHA-256', 'LOGIN', sasl('scram-sha-256', 'bob')],
    ['SCRAM-SHA-512', 'LOGIN', sasl('scram-sha-512', 'bob')],
    ['OAUTHBEARER', 'LOGIN', { auth: 'sasl', tls: false, sasl: token }],
    ['TLS', 'TLS', { auth: 'none', tls: { ca_file } }],
    ['client certificates', 'MUTUAL', { auth: 'mtls', tls: mine }],
    ['TLS and SASL PLAIN', 'BOTH', { ...sasl('plain', 'alice'), tls: { ca_file } }],
  ]
  let first = 0
  for (const [name, listener, auth] of ways) {
    const config = configured(pipeline, kafka.listeners[listener] ?? '', auth)
    const lines = Array.from({ length: EVENTS }, (_, index) => `{"number":${first + index}}`)
    await carry(config, pipeline, lines)
    const { rows, remaining } = await drain(config, createLog('test'))
    assert.deepEqual({ name, rows, remaining }, { name, rows: EVENTS, remaining: 0 })
    first += EVENTS
  }
  const [row] = await pipeline.query('SELECT COUNT(*) AS n, COUNT(DISTINCT number) AS numbers FROM logs.visits')
  assert.deepEqual(row, { n: `${first}`, numbers: `${first}` })

  // What docs/guides/kafka-consumer.md says that it needs, and nothing less.
  const allow = (resourceType: number, resourceName: string, operations = [READ, DESCRIBE], pattern = LITERAL) => {
    const acl = operations.map((operation) => ({
      ...{ resourceType, resourceName, resourcePatternType: pattern },
      ...{ principal: 'User:dora', host: '*', operation, permissionType: ALLOW },
    }))
    const asked = { resourceType, resourceName, resourcePatternType: pattern, operation: ANY, permissionType: ALLOW }
    return administer(pipeline.kafka, async (admin) => {
      await admin.createAcls({ acl })
      // The broker's own record of rights follows the controller's.
      const known = async () =>
        (await admin.describeAcls(asked)).resources[0]?.acls.map(({ operation: of }) => of) ?? []
      await eventually(async () => new Set(operations).isSubsetOf(new Set(await known())), { what: 'rights' })
    })
  }
  const dora = configured(pipeline, kafka.listeners['LOGIN'] ?? '', sasl('plain', 'dora'))
  await pipeline.publish('visits', [Buffer.from(`{"number":${first}}`)])
  await allow(TOPIC, pipeline.topics['visits'] ?? '')
  await allow(GROUP, `millrace.${dora.name}.drain`)
  await assert.rejects(drain(dora, createLog('test')), /group coordinator/)
  await allow(GROUP, `millrace.${dora.name}.worker`)
  const { rows, remaining } = await drain(dora, createLog('test'))
  assert.deepEqual({ rows, remaining }, { rows: 1, remaining: 0 })
  // And docs/guides/install-agent.md of the agent.
  await allow(TOPIC, pipeline.topics['visits'] ?? '', [WRITE])
  await allow(GROUP, 'millrace.agent.secure', [READ, DESCRIBE], PREFIXED)
  await allow(TRANSACTIONAL_ID, 'millrace.agent.secure', [WRITE, DESCRIBE], PREFIXED)
  await carry(dora, pipeline, ['{"number":-1}'])

  const wrong = { mechanism: 'plain', username: 'alice', password: file('wrong', 'no') } as const
  const refused = configured(pipeline, kafka.listeners['LOGIN'] ?? '', { auth: 'sasl', tls: false, sasl: wrong })
  await assert.rejects(drain(refused, createLog('test')), /[Aa]uthentication/)
})
