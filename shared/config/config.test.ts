import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { suite, test } from 'node:test'
import { parse } from 'yaml'
import { UserError } from '../errors.ts'
import { jsonSchema, loadConfig, parseConfig, readSecret, tableId } from './index.ts'
import { type Form, shapeOf } from './json-schema.ts'

const MINIMAL = `
project: my-project
dataset: logs
kafka: { brokers: [k1:9092] }
routes:
  visits: { topic: visits, schema: visits.json, table: visits }
agent:
  logs: [{ path: /var/log/visits.log, route: visits }]
`
const file = (name: string) => fileURLToPath(new URL(`../../examples/config/${name}`, import.meta.url))

function problemsIn(text: string, environment: Record<string, string> = {}): string {
  try {
    parseConfig(text, '/etc/millrace.yaml', environment)
  } catch (error) {
    assert(error instanceof UserError)
    return `${error.message}\n${error.fix ?? ''}`
  }
  return assert.fail('no error')
}

void suite('configuration', () => {
  void test('the minimal file gives this configuration', () => {
    const { file: path, agent, routes, ...rest } = loadConfig(file('minimal.yaml'), {})
    assert.equal(path, file('minimal.yaml'))
    const { id, lock_file: lock, ...own } = agent
    assert.match(lock, new RegExp(`millrace-${id}\\.lock$`))
    assert.deepEqual(own, {
      logs: [{ path: '/var/log/api/visits*.log', route: 'visits', complete: false }],
      from: 'start',
      poll_interval: 1000,
      linger: 20,
      batch_bytes: 1048576,
      compression: 'zstd',
      max_event_bytes: 1048576,
      transaction_timeout: 15000,
      finish_after: 60000,
      handover_after: 3600000,
      after_upload: 'keep',
      stop_within: 8000,
    })
    assert.deepEqual(routes, {
      visits: {
        name: 'visits',
        topic: 'visits',
        schema: file('schemas/visits.json'),
        format: 'json',
        framing: 'lines',
        table: { project: 'my-project', dataset: 'logs', table: 'visits' },
        convert: {},
        envelope: 'none',
        partition: { by: 'none' },
        cluster: [],
        labels: {},
        unknown: 'keep',
        metadata: 'millrace',
        from: 'start',
        push: false,
        stop_after: 10000,
      },
    })
    assert.deepEqual(rest, {
      name: 'millrace',
      project: 'my-project',
      region: 'US',
      dataset: 'logs',
      kafka: { brokers: ['kafka-1:9092'], auth: 'none', tls: false },
      consumer: {
        mode: 'worker',
        schedule: '* * * * *',
        flush_bytes: 1048576,
        flush_after: 200,
        in_flight: 4,
        queue_bytes: 33554432,
        fetch_bytes: 1048576,
        session_timeout: 30000,
        answer_within: 60000,
        budget: 50000,
        stop_within: 8000,
      },
      chunk_claim: 600000,
      endpoints: {},
      local: { ports: { kafka: 0, bigquery: 0, bigquery_storage: 0, storage: 0, faults: 0, functions: 0, page: 0 } },
    })
  })

  void test('the reference file is valid and has every key that there is', () => {
    const config = loadConfig(file('reference.yaml'), {})
    assert.equal(config.routes['visits']?.expire_after, 90 * 86_400_000)
    assert.equal(config.routes['clicks']?.framing, 'delimited')
    const raw = parse(readFileSync(file('reference.yaml'), 'utf8')) as unknown
    assert.deepEqual(missingKeys(jsonSchema(), [raw], ''), [])
  })

  void test('the reference file shows the defaults', () => {
    const [shown, bare] = [loadConfig(file('reference.yaml'), {}), loadConfig(file('minimal.yaml'), {})]
    const given = ['id', 'logs', 'lock_file', 'port']
    for (const section of ['agent', 'consumer'] as const) {
      const defaults = new Map(Object.entries(bare[section]))
      for (const [key, value] of Object.entries(shown[section]))
        if (!given.includes(key)) assert.deepEqual(value, defaults.get(key), `${section}.${key}`)
    }
    for (const key of ['name', 'region', 'chunk_claim', 'local'] as const) assert.deepEqual(shown[key], bare[key])
    for (const key of ['format', 'framing', 'unknown', 'metadata', 'from', 'push', 'stop_after'] as const)
      assert.equal(shown.routes['visits']?.[key], bare.routes['visits']?.[key], key)
  })

  void test('several lines: a pattern or a preset, which must be able to match', () => {
    const withRoute = (more: string) => MINIMAL.replace('table: visits', `table: visits, ${more}`)
    const fails = (more: string, expected: RegExp) => {
      assert.notEqual(withRoute(more), MINIMAL)
      assert.throws(() => parseConfig(withRoute(more), '/etc/c.yaml', {}), expected)
    }
    fails("multiline: { start: '(' }", /multiline\.start .*: is wrong; fix: write a regular expression/)
    fails('multiline: { timeout: 1s }', /multiline.*: is wrong; fix: write either preset or start/)
    fails('multiline: { preset: cobol }', /multiline\.preset/)
    fails('framing: delimited, multiline: { preset: go }', /multiline: means nothing for length-delimited/)
    const config = parseConfig(withRoute('multiline: { preset: go }'), '/etc/c.yaml', {})
    assert.deepEqual(config.routes['visits']?.multiline, { preset: 'go', timeout: 1000 })
  })

  void test('a limit of a log is a size, and not so small that nothing moves', () => {
    const config = (limit: string) =>
      parseConfig(MINIMAL.replace('route: visits }', `route: visits, rate_limit: ${limit} }`), '/c.yaml', {})
    assert.equal(config('2MiB').agent.logs[0]?.rate_limit, 2 * 1024 * 1024)
    assert.throws(() => config('1B'), /rate_limit .*: is wrong; fix: write at least 1KiB/)
  })

  void test('the lock file lies where systemd says that state belongs', () => {
    const lockOf = (more: string, environment: Record<string, string>) =>
      parseConfig(MINIMAL + more, '/etc/c.yaml', environment).agent.lock_file
    assert.match(lockOf('', { STATE_DIRECTORY: '/var/lib/millrace' }), /^\/var\/lib\/millrace\/millrace-.+\.lock$/)
    const named = '  lock_file: own.lock\n'
    assert.equal(lockOf(named, { STATE_DIRECTORY: '/var/lib/millrace' }), '/etc/own.lock')
  })

  void test('a table may name its dataset and its project', () => {
    const names = ['t', 'd.t', 'my-other.d.t'].map((table) => {
      const config = parseConfig(MINIMAL.replace('table: visits }', `table: ${table} }`), '/c.yaml')
      return tableId(config.routes['visits']!.table)
    })
    assert.deepEqual(names, ['my-project.logs.t', 'my-project.d.t', 'my-other.d.t'])
  })

  void test('environment variables override scalars and lists of scalars', () => {
    const environment = {
      MILLRACE_KAFKA_BROKERS: 'a:1, b:2',
      MILLRACE_AGENT_LINGER: '1s',
      MILLRACE_CONSUMER_IN_FLIGHT: '2',
      MILLRACE_ENDPOINTS_BIGQUERY_STORAGE: '127.0.0.1:9',
      MILLRACE_BUCKET: '',
      MILLRACE_KAFKA_AUTH: 'none',
      MILLRACE_KAFKA_TLS: 'false',
    }
    const secured = '[k1:9092], auth: mtls, tls: { cert_file: c, key_file: k } }'
    const config = parseConfig(MINIMAL.replace('[k1:9092] }', secured), '/c.yaml', environment)
    assert.deepEqual([config.kafka?.auth, config.kafka?.tls], ['none', false])
    assert.deepEqual(config.kafka?.brokers, ['a:1', 'b:2'])
    assert.equal(config.agent.linger, 1000)
    assert.equal(config.consumer.in_flight, 2)
    assert.equal(config.endpoints.bigquery_storage, '127.0.0.1:9')
    assert.equal(config.bucket, undefined)
  })

  void test('an error names file, line, key, value and fix', () => {
    const text = MINIMAL.replace('dataset: logs', 'dataset: my logs')
    assert.equal(
      problemsIn(text),
      '/etc/millrace.yaml:3: dataset ("my logs"): is wrong; fix: write letters, digits and underscores\n',
    )
  })

  void test('every problem is told, unknown keys with the key that was meant', () => {
    const text = MINIMAL.replace('brokers', 'broker').replace('route: visits', 'rout: visits')
    const lines = problemsIn(text).trim().split('\n')
    assert.deepEqual(lines.sort(), [
      '/etc/millrace.yaml:4: kafka.broker: unknown key; fix: did you mean brokers?',
      '/etc/millrace.yaml:4: kafka.brokers: is missing; fix: add it',
      '/etc/millrace.yaml:8: agent.logs.0.rout: unknown key; fix: did you mean route?',
      '/etc/millrace.yaml:8: agent.logs.0.route: is missing; fix: add it',
    ])
  })

  void test('parts of a broken file are checked for their meaning too, in the order of the file', () => {
    const text = MINIMAL.replace('dataset: logs', 'dataset: my logs').replace('route: visits', 'route: visit')
    const lines = problemsIn(text.replace('[k1:9092] }', '[k1:9092], tls: { cafile: x } }'), { MILLRACE_BUKET: 'b' })
    assert.deepEqual(lines.trim().split('\n'), [
      '/etc/millrace.yaml:3: dataset ("my logs"): is wrong; fix: write letters, digits and underscores',
      '/etc/millrace.yaml:4: kafka.tls.cafile: unknown key; fix: did you mean ca_file?',
      '/etc/millrace.yaml:8: agent.logs.0.route ("visit"): no such route; fix: use one of: visits',
      'environment variable MILLRACE_BUKET: names no key of the configuration; fix: did you mean MILLRACE_BUCKET?',
    ])
  })

  void test('what should stand there is said in words', () => {
    const cases: [more: string, fix: string][] = [
      ['consumer: { mode: drains }', 'write worker or drain'],
      ['consumer: { mode: 5 }', 'write worker or drain'],
      ['consumer: { in_flight: 0 }', 'write at least 1'],
      ['consumer: { in_flight: 1.5 }', 'write a whole number'],
      ['consumer: { flush_bytes: 9MiB }', 'write at most 8MiB'],
      ['consumer: { queue_bytes: 0B }', 'write at least 1B'],
      ['consumer: { budget: 5s }', 'write at least 8s'],
      ['  batch_bytes: 1B', 'write at least 16KiB'],
      ['  max_event_bytes: 2GiB', 'write at most 64MiB'],
      ['  transaction_timeout: 1h', 'write at most 15m'],
      ['consumer: { schedule: hourly }', 'write five fields, as in */5 * * * *'],
      ['consumer: []', 'write a section: keys with their values'],
      ['name: ""', 'write lower-case letters, digits and dashes, a letter first, at most 41'],
      ['region: 5', 'write a text (in quotes when it looks like a number)'],
      ['region: ""', 'write a text that is not empty'],
      ['endpoints: { storage: here }', 'write a URL, as in http://127.0.0.1:9050'],
      ['bucket: gs://mine', 'write the name of a bucket, as in my-logs'],
    ]
    for (const [more, fix] of cases) {
      const [, told] = problemsIn(`${MINIMAL}${more}\n`).trimEnd().split('; fix: ')
      assert.equal(told, fix, more)
    }
  })

  void test('a secret in the file is refused, and not told', () => {
    for (const more of ['secret: hunter2', 'secrets: hunter2']) {
      const error = problemsIn(`${MINIMAL}push: { auth: secret, ${more} }`)
      assert.match(error, /push\.secret/)
      assert.doesNotMatch(error, /hunter2/)
    }
  })

  void test('a key without a value is a key left out', () => {
    assert.deepEqual(parseConfig(`${MINIMAL}consumer:\n`, '/c.yaml'), parseConfig(MINIMAL, '/c.yaml'))
    assert.match(problemsIn(MINIMAL.replace('my-project', '')), /:2: project: is missing; fix: add it/)
  })

  void test('the name of a secret may begin like an override', () => {
    const text = `${MINIMAL}push: { auth: secret, secret: { env: MILLRACE_PUSH_KEY } }\n`
    assert.equal(parseConfig(text, '/c.yaml', { MILLRACE_PUSH_KEY: 'x' }).push?.auth, 'secret')
    assert.match(problemsIn(MINIMAL, { MILLRACE_PUSH_KEY: 'x' }), /MILLRACE_PUSH_KEY: names no key/)
  })

  void test('a wrong override is told with its variable', () => {
    const error = problemsIn(MINIMAL, { MILLRACE_AGENT_LINGER: 'soon' })
    assert.match(
      error,
      /^environment variable MILLRACE_AGENT_LINGER: agent\.linger \("soon"\): is wrong; fix: write a duration/,
    )
    assert.match(
      problemsIn(MINIMAL, { MILLRACE_KAFKA_BROKER: 'x:1' }),
      /MILLRACE_KAFKA_BROKER: names no key.*did you mean MILLRACE_KAFKA_BROKERS/,
    )
  })

  void test('what no single key can tell is checked too', () => {
    const cases: [from: string, to: string, problem: RegExp][] = [
      ['kafka: { brokers: [k1:9092] }', '', /:\d+: routes\.visits\.topic \("visits"\): a topic needs Kafka/],
      ['topic: visits, ', '', /neither topic nor bucket/],
      ['schema: visits.json, ', '', /format json needs a schema/],
      ['table: visits }', 'table: visits, format: text }', /needs a preset or a pattern/],
      ['route: visits', 'route: visit', /agent\.logs\.0\.route \("visit"\): no such route; fix: use one of: visits/],
      ['[k1:9092] }', '[k1:9092], auth: sasl }', /kafka\.sasl.*auth sasl needs it/],
      [
        '{ brokers',
        '{ sasl: { mechanism: plain, username: u, password: { env: A } }, brokers',
        /kafka\.sasl.*means nothing/,
      ],
      [
        '[k1:9092] }',
        '[k1:9092], auth: sasl, sasl: { mechanism: plain } }',
        /username is missing.*\n.*password is missing/,
      ],
      ['table: visits }', 'table: visits, partition: { by: none, field: at } }', /by none has no field/],
      ['table: visits }', 'table: millrace_sources }', /routes\.visits\.table .*: Millrace gives such names/],
      [
        'table: visits }',
        'table: v }\n  b: { topic: visits, format: raw, table: b }',
        /b\.topic .*: routes\.visits has it/,
      ],
      [
        'table: visits }',
        'table: v }\n  b: { topic: b, format: raw, metadata: m, table: logs.v }',
        /b\.table .*visits has/,
      ],
      ['logs: [', 'logs: [{ path: /var/log/visits.log, route: visits },', /agent\.logs\.1\.path .*: another log/],
      ['logs: [', 'id: web.1\n  logs: [', /agent\.id.*without a dot and a number at the end/],
      ['[k1:9092] }', '[k1:9092], auth: mtls }', /auth mtls needs cert_file and key_file/],
      ['table: visits }', 'table: visits, push: true }', /routes\.visits\.push \(true\): nobody may send/],
      ['agent:', 'push: { auth: secret }\nagent:', /push\.secret: auth secret needs it/],
      ['agent:', 'push: { auth: oidc, callers: [a@b] }\nagent:', /push\.audience: auth oidc needs it/],
      ['agent:', 'push: { auth: oidc, audience: https://a }\nagent:', /push\.callers.*: auth oidc needs it/],
      [
        'agent:',
        'push: { auth: secret, secret: { env: A, file: b } }\nagent:',
        /push\.secret: is wrong; fix: write either env or file/,
      ],
    ]
    for (const [from, to, problem] of cases) assert.match(problemsIn(MINIMAL.replace(from, to)), problem)
  })

  void test('a route with push needs neither Kafka nor a bucket', () => {
    const text = MINIMAL.replace(
      'kafka: { brokers: [k1:9092] }',
      'push: { auth: secret, secret: { env: PUSH_SECRET } }',
    )
    const config = parseConfig(text.replace('table: visits }', 'table: visits, push: true }'), '/c.yaml')
    assert.deepEqual(config.push, { auth: 'secret', callers: [], secret: { env: 'PUSH_SECRET' } })
    assert.equal(config.routes['visits']?.push, true)
  })

  void test('a secret is read from where the configuration says', () => {
    process.env['CONFIG_TEST_SECRET'] = 'quiet'
    assert.equal(readSecret('push.secret', { env: 'CONFIG_TEST_SECRET' }), 'quiet')
    delete process.env['CONFIG_TEST_SECRET']
    const env = { env: 'CONFIG_TEST_SECRET' }
    assert.throws(() => readSecret('push.secret', env), /push\.secret: the environment variable CONFIG_TEST_SECRET is/)
    assert.throws(() => readSecret('push.secret', { file: '/nowhere/secret' }), /push\.secret: ENOENT/)
    assert.throws(() => readSecret('push.secret', { file: '/dev/null' }), /\/dev\/null is empty/)
    assert.throws(() => readSecret('push.secret'), /push\.secret is missing/)
  })

  void test('broken YAML and a doubled key are told with their line', () => {
    assert.match(problemsIn('a: [1\nb: 2\n'), /^\/etc\/millrace\.yaml:\d+: /)
    assert.match(problemsIn(`${MINIMAL}\nproject: twice\n`), /^\/etc\/millrace\.yaml:10: Map keys must be unique/)
    assert.match(problemsIn(`${MINIMAL}\n---\n`), /^\/etc\/millrace\.yaml:\d+: Source contains multiple documents$/m)
    assert.match(problemsIn(`${MINIMAL}\nbucket: *.log\n`), /^\/etc\/millrace\.yaml: Unresolved alias .*: \.log$/m)
  })

  void test('a file that is not there is a mistake of the user', () => {
    assert.throws(
      () => loadConfig('/nowhere/millrace.yaml', {}),
      /cannot read the configuration \/nowhere\/millrace\.yaml/,
    )
  })

  void test('the JSON Schema in docs is the one of the code', () => {
    const path = new URL('../../docs/reference/millrace.schema.json', import.meta.url)
    assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), JSON.parse(JSON.stringify(jsonSchema())))
  })
})

/** Keys of the form that none of these values has. */
function missingKeys(form: Form, values: unknown[], path: string): string[] {
  const { items, additionalProperties } = form
  if (additionalProperties) {
    const inner = values.flatMap((value) => Object.values(value as object) as unknown[])
    return missingKeys(additionalProperties, inner, `${path}.*`)
  }
  if (items) return missingKeys(items, values.flat(), `${path}[]`)
  return Object.entries(shapeOf(form)).flatMap(([key, child]) => {
    const inner = values.flatMap((value) => {
      const found = value !== null && typeof value === 'object' ? (value as Record<string, unknown>)[key] : undefined
      return found === undefined ? [] : [found]
    })
    // Either env or file: the reference shows one and names the other in its comment.
    if (inner.length === 0) return key === 'env' ? [] : [`${path}.${key}`]
    return missingKeys(child, inner, `${path}.${key}`)
  })
}
