import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { RunningKafka } from '../../local/kafka/index.ts'
import { createAuthority } from '../../test/support/certificates.ts'
import { startSecureBroker, unsecuredToken } from '../../test/support/secure-broker.ts'
import type { KafkaConfig } from '../config/index.ts'
import { authentication } from './auth.ts'
import { UserError } from '../errors.ts'
import { createTopics } from '../../local/kafka/index.ts'
import { connectKafka, KafkaError, topicOffsets } from './index.ts'

const dataDir = mkdtempSync(join(tmpdir(), 'millrace-auth-'))
const authority = createAuthority()
const PASSWORD_ENV = 'MILLRACE_AUTH_TEST_PASSWORD'
let kafka: RunningKafka

before(async () => {
  kafka = await startSecureBroker(dataDir, authority)
  const client = connectKafka({ brokers: [kafka.brokers], auth: 'none', tls: false }, 'test')
  await createTopics(client, [{ topic: 't', partitions: 1 }])
  await client.close()
  process.env[PASSWORD_ENV] = 'secret'
})

after(async () => {
  delete process.env[PASSWORD_ENV]
  await kafka?.stop()
  rmSync(dataDir, { recursive: true, force: true })
})

function file(name: string, text: string): string {
  const path = join(dataDir, name)
  writeFileSync(path, text)
  return path
}

async function reach(listener: string, config: Omit<KafkaConfig, 'brokers'>): Promise<number | undefined> {
  const client = connectKafka({ brokers: [kafka.listeners[listener] ?? ''], ...config }, 'test', {
    requestTimeoutMs: 3000,
  })
  try {
    return (await topicOffsets(client, ['t']))[0]?.end
  } finally {
    await client.close()
  }
}

const password = { env: PASSWORD_ENV }

test('SASL: PLAIN, SCRAM in both sizes, a bearer token', async () => {
  const login = { auth: 'sasl', tls: false } as const
  assert.equal(await reach('LOGIN', { ...login, sasl: { mechanism: 'plain', username: 'alice', password } }), 0)
  assert.equal(await reach('LOGIN', { ...login, sasl: { mechanism: 'scram-sha-256', username: 'bob', password } }), 0)
  const fromFile = { file: file('password', 'secret\n') }
  assert.equal(
    await reach('LOGIN', { ...login, sasl: { mechanism: 'scram-sha-512', username: 'bob', password: fromFile } }),
    0,
  )
  const token = { file: file('token', unsecuredToken()) }
  assert.equal(await reach('LOGIN', { ...login, sasl: { mechanism: 'oauthbearer', password: token } }), 0)
})

test('a wrong password is told as such', async () => {
  const wrong = { file: file('wrong', 'no') }
  const sasl = { mechanism: 'plain', username: 'alice', password: wrong } as const
  await assert.rejects(
    reach('LOGIN', { auth: 'sasl', tls: false, sasl }),
    (error) => error instanceof KafkaError && error.kind === 'unauthorized',
  )
})

test('TLS, with client certificates too, and with SASL', async () => {
  const ca_file = file('ca.pem', authority.cert)
  assert.equal(await reach('TLS', { auth: 'none', tls: { ca_file } }), 0)
  const client = authority.issue('client')
  const mine = { ca_file, cert_file: file('client.pem', client.cert), key_file: file('client.key', client.key) }
  assert.equal(await reach('MUTUAL', { auth: 'mtls', tls: mine }), 0)
  const sasl = { mechanism: 'plain', username: 'alice', password } as const
  assert.equal(await reach('BOTH', { auth: 'sasl', tls: { ca_file }, sasl }), 0)
})

test('a broker with an unknown authority, and a client without certificate, do not come together', async () => {
  const unreachable = (error: unknown) => error instanceof KafkaError && error.kind === 'unreachable'
  const strangers = reach('TLS', { auth: 'none', tls: true })
  const nameless = reach('MUTUAL', { auth: 'none', tls: { ca_file: file('ca.pem', authority.cert) } })
  await Promise.all([assert.rejects(strangers, unreachable), assert.rejects(nameless, unreachable)])
})

test('secrets that are not where the configuration says are named, with the fix', () => {
  const connect = (config: Omit<KafkaConfig, 'brokers'>) => () =>
    connectKafka({ brokers: ['k:9092'], ...config }, 'test')
  const sasl = (password?: { env?: string; file?: string }) => ({
    auth: 'sasl' as const,
    tls: false,
    sasl: { mechanism: 'plain' as const, username: 'a', ...(password && { password }) },
  })
  const told = (text: RegExp) => (error: unknown) => error instanceof UserError && text.test(error.message)
  assert.throws(connect(sasl({ env: 'NO_SUCH_VARIABLE' })), told(/kafka\.sasl\.password.*NO_SUCH_VARIABLE is not set/))
  assert.throws(connect(sasl({ file: '/no/such/file' })), told(/kafka\.sasl\.password: ENOENT/))
  assert.throws(connect(sasl()), told(/kafka\.sasl\.password is missing/))
  assert.throws(
    connect({ auth: 'none', tls: { ca_file: file('empty.pem', 'x') } }),
    told(/kafka\.tls\.ca_file: .* holds no PEM/),
  )
})

test("auth: google takes the token of the metadata server's service account, in three parts like a JWT's", async (t) => {
  const asked: string[] = []
  let email = 'worker@p.iam'
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    response.setHeader('metadata-flavor', 'Google')
    if (request.url?.endsWith('/email')) return void response.end(email)
    const token = { access_token: 'ya29.from-the-server', expires_in: 3599, token_type: 'Bearer' }
    response.setHeader('content-type', 'application/json').end(JSON.stringify(token))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const kept = { ...process.env }
  t.after(() => {
    process.env = kept
    server.close()
  })
  process.env['GCE_METADATA_HOST'] = `127.0.0.1:${(server.address() as AddressInfo).port}`
  process.env['CLOUDSDK_CONFIG'] = dataDir // nobody's credentials of their own
  delete process.env['GOOGLE_APPLICATION_CREDENTIALS']
  const { ssl, sasl } = authentication({ brokers: ['k:9092'], auth: 'google', tls: false })
  assert.deepEqual([ssl, sasl?.mechanism], [{}, 'oauthbearer'])
  const provide = sasl && 'oauthBearerProvider' in sasl ? sasl.oauthBearerProvider : assert.fail('no provider')
  const before = Math.floor(Date.now() / 1000)
  for (let connection = 0; connection < 2; connection++) {
    const { value } = await provide()
    const [header, claims = '', token] = value.split('.').map((part) => Buffer.from(part, 'base64url').toString())
    assert.equal(header, '{"typ":"JWT","alg":"GOOG_OAUTH2_TOKEN"}')
    const { exp, iat, ...who } = JSON.parse(claims) as Record<string, number>
    assert.deepEqual(who, { iss: 'Google', sub: email })
    assert.ok(iat && iat >= before && exp === iat + 3600)
    assert.equal(token, 'ya29.from-the-server')
    assert.equal(value.includes('='), false)
  }
  assert.equal(asked.filter((url) => url.includes('/token')).length, 1, 'the library keeps a token that lives')
  email = ''
  await assert.rejects(provide(), /service account/)
})
