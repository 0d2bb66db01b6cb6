import assert from 'node:assert/strict'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { stringify } from 'yaml'
import { buildDeb } from '../../infra/packages/deb.ts'
import { startStorage } from '../../local/storage/index.ts'
import { createTopics } from '../../local/kafka/index.ts'
import { connectKafka } from '../../shared/kafka/index.ts'
import { type BootedHost, bootHost } from '../support/booted-host.ts'
import { sharedBroker } from '../support/broker.ts'
import { consumeTopic } from '../support/consume.ts'
import { eventually } from '../support/eventually.ts'
import { compareLines, lineNumbers, LogWriter } from '../support/log-writer.ts'

// The package's whole life, on a host of its own with its own systemd: installed, configured, started, killed, upgraded while
// lines are written, removed, purged. A real broker reads along: every line exactly once, in order.

const UNIT = 'millrace-agent.service'
const BUCKET = 'deb-chunks'
/** Debian's group for logs, and the rights that logs have there. */
const ADM = 4
const LOG_MODE = 0o640
/** systemd's own measure of what a service could do, times ten: 0 is nothing, 100 is everything. */
const EXPOSURE_MAX = 20

test('the package is installed, runs as its unit says, is upgraded amid writing, and goes', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-deb-test-'))
  const storage = await startStorage({ dataDir: join(folder, 'storage'), buckets: [BUCKET] })
  t.after(async () => {
    await storage.stop()
    rmSync(folder, { recursive: true })
  })
  const logs = join(folder, 'logs')
  const packages = join(folder, 'packages')
  for (const path of [logs, packages]) mkdirSync(path)
  const host = await bootHost(t, { [logs]: '/var/log/app', [packages]: '/srv/packages' })
  if (!host) return
  const build = (version: string) => buildDeb({ outDir: packages, version, compression: 'none' })
  const topic = await topicOfItsOwn(t)

  await t.test('a first installation starts nothing', async () => {
    await build('1.0.0')
    await host.run('dpkg', '--install', ...(await packageFiles(host, '1.0.0')))
    assert.match(await host.run('millrace', '--version'), /^millrace 1\.0\.0 /)
    assert.equal(await property(host, 'ActiveState'), 'inactive')
    assert.equal(await property(host, 'UnitFileState'), 'disabled')
    assert.equal(await host.run('systemd-analyze', 'verify', UNIT), '')
    await host.run('systemd-analyze', 'security', `--threshold=${EXPOSURE_MAX}`, '--no-pager', '--offline=true', UNIT)
  })

  const writer = new LogWriter(join(logs, 'app.log'))
  writeFileSync(writer.path, '')
  chownSync(writer.path, 0, ADM)
  chmodSync(writer.path, LOG_MODE)

  await t.test('unconfigured it fails at once, and says what is missing', async () => {
    await host.run('systemctl', 'start', UNIT)
    await eventually(async () => (await property(host, 'ActiveState')) === 'failed')
    assert.equal(await property(host, 'ExecMainStatus'), '2')
    await eventually(async () => /millrace\.yaml:1: project: is missing; fix: add it/.test(await journal(host)))
  })

  await t.test('configured it runs as its user, hardened, and publishes what the group adm may read', async () => {
    await configure(host, logs, topic, storage.endpoint)
    const check = 'set -a; . /etc/millrace/millrace.env; millrace check --config /etc/millrace/millrace.yaml --connect'
    assert.match(await host.run('sh', '-ec', check), /: 1 routes, 1 logs, all well\n$/)
    writer.write(100)
    await host.run('systemctl', 'reset-failed', UNIT)
    await host.run('systemctl', 'enable', '--quiet', '--now', UNIT)
    await allPublished(topic, writer)
    const pid = await property(host, 'MainPID')
    assert.equal((await host.run('ps', '-o', 'user=,group=', '-p', pid)).trim().replace(/ +/, ' '), 'millrace millrace')
    assert.equal((await host.run('readlink', `/proc/${pid}/exe`)).trim(), '/usr/lib/millrace/node')
    assert.match(await host.run('cat', `/proc/${pid}/cmdline`), /\0--from\0start\0$/)
    const status = await host.run('cat', `/proc/${pid}/status`)
    for (const line of [/^CapEff:\t0+$/m, /^CapBnd:\t0+$/m, /^NoNewPrivs:\t1$/m, /^Seccomp:\t2$/m])
      assert.match(status, line)
    assert.match(
      await host.run('cat', `/proc/${pid}/maps`),
      /\/usr\/lib\/millrace\/crc32\.node$/m,
      'the native CRC is used',
    )
  })

  await t.test('a second agent, started by hand, is refused', async () => {
    const byHand = ['-u', 'millrace', '-G', 'adm', '--', 'millrace', 'agent', '--config', '/etc/millrace/millrace.yaml']
    await assert.rejects(host.run('runuser', ...byHand), /another agent holds the lock/)
  })

  await t.test('killed it is started again', async () => {
    const pid = await property(host, 'MainPID')
    await host.run('kill', '-KILL', pid)
    writer.write(100)
    await allPublished(topic, writer)
    assert.equal(await property(host, 'NRestarts'), '1')
  })

  await t.test('reloaded it is the same process, with a broken configuration too', async () => {
    const pid = await property(host, 'MainPID')
    const told = async (what: RegExp) => eventually(async () => what.test(await journal(host)))
    await host.run('systemctl', 'reload', UNIT)
    await told(/"started"[^]*"started"[^]*"started"/) // at first, after the kill, and now
    await host.run('sh', '-c', 'echo "broken: [" >> /etc/millrace/millrace.yaml; systemctl reload millrace-agent')
    await told(/reload refused/)
    await host.run('sed', '-i', '$d', '/etc/millrace/millrace.yaml')
    writer.write(100)
    await allPublished(topic, writer)
    assert.equal(await property(host, 'MainPID'), pid)
  })

  await t.test(
    'an upgrade amid writing keeps the configuration, and restarts: nothing is lost or doubled',
    async () => {
      await build('1.1.0')
      const before = await property(host, 'MainPID')
      const configuration = await host.run('cat', '/etc/millrace/millrace.yaml')
      let upgrading = true
      const writing = (async () => {
        for (let i = 0; upgrading; i++) {
          writer.write(37)
          if (i % 50 === 49) rotate(writer)
          await delay(5)
        }
      })()
      await host.run('dpkg', '--install', ...(await packageFiles(host, '1.1.0')))
      await eventually(
        async () => (await property(host, 'MainPID')) !== before && (await property(host, 'SubState')) === 'running',
      )
      upgrading = false
      await writing
      await allPublished(topic, writer)
      assert.match(await host.run('millrace', '--version'), /^millrace 1\.1\.0 /)
      assert.equal(await host.run('cat', '/etc/millrace/millrace.yaml'), configuration)
      assert.equal(await property(host, 'UnitFileState'), 'enabled')
    },
  )

  await t.test('what was rotated is in the bucket, file by file', async () => {
    writer.write(1) // an empty file makes no chunk
    rotate(writer)
    const files = readdirSync(logs).filter((name) => name !== 'app.log').length
    const listing = `${storage.endpoint}/storage/v1/b/${BUCKET}/o`
    await eventually(
      async () => {
        const { items = [] } = (await (await fetch(listing)).json()) as { items?: { name: string }[] }
        assert.equal(items.length, files, items.map(({ name }) => name).join(' '))
        return true
      },
      { what: 'a chunk for each rotated file' },
    )
  })

  await t.test('stopped it ends by itself, well', async () => {
    await host.run('systemctl', 'stop', UNIT)
    assert.equal(await property(host, 'Result'), 'success')
    assert.equal(await property(host, 'ExecMainStatus'), '0')
    await host.run('systemctl', 'start', UNIT)
  })

  await t.test('removed it is stopped, and its configuration stays; purged nothing stays', async () => {
    await host.run('dpkg', '--remove', 'millrace-agent')
    assert.equal(await host.run('pgrep', '-u', 'millrace').catch(() => 'none'), 'none')
    assert.deepEqual(await leftovers(host), [
      '/etc/millrace',
      '/etc/millrace/millrace.env',
      '/etc/millrace/millrace.yaml',
      '/var/lib/millrace',
    ])
    await host.run('dpkg', '--purge', 'millrace-agent')
    assert.deepEqual(await leftovers(host), [])
    await assert.rejects(host.run('getent', 'passwd', 'millrace'))
    await assert.rejects(host.run('getent', 'group', 'millrace'))
  })
})

interface Topic {
  readonly name: string
  readonly brokers: string
  readonly client: ReturnType<typeof connectKafka>
}

async function topicOfItsOwn(t: TestContext): Promise<Topic> {
  const { brokers, unique } = await sharedBroker()
  const client = connectKafka({ brokers: [brokers], auth: 'none', tls: false }, 'deb-test')
  t.after(() => client.close())
  const name = unique('deb')
  await createTopics(client, [{ topic: name, partitions: 1 }])
  return { name, brokers, client }
}

async function allPublished({ client, name }: Topic, writer: LogWriter): Promise<void> {
  const values = await eventually(
    async () => {
      const found = await consumeTopic(client, name)
      return found.length >= writer.count && found
    },
    { what: 'all lines published' },
  )
  const numbers = lineNumbers(values.map(({ value }) => value))
  assert.deepEqual(compareLines(numbers, writer.count), { missing: 0, doubled: 0, backward: 0, total: writer.count })
}

/** Brokers and options come by the environment's file: what is in the configuration leads nowhere. */
async function configure(host: BootedHost, logs: string, topic: Topic, storage: string): Promise<void> {
  const configuration = {
    project: 'test-project',
    dataset: 'logs',
    bucket: BUCKET,
    kafka: { brokers: ['127.0.0.1:1'] },
    routes: { lines: { topic: topic.name, format: 'raw', table: 'lines' } },
    agent: { id: topic.name, logs: [{ path: '/var/log/app/app.log', route: 'lines' }], finish_after: '2s' },
  }
  const staged = join(logs, '.staged')
  writeFileSync(staged, stringify(configuration))
  await host.run('cp', '--no-preserve=mode', '/var/log/app/.staged', '/etc/millrace/millrace.yaml')
  writeFileSync(
    staged,
    `MILLRACE_KAFKA_BROKERS=${topic.brokers}\nMILLRACE_ENDPOINTS_STORAGE=${storage}\nMILLRACE_OPTIONS="--from start"\n`,
  )
  await host.run('cp', '--no-preserve=mode', '/var/log/app/.staged', '/etc/millrace/millrace.env')
  rmSync(staged)
}

/** As logrotate's `create 0640 root adm`. */
function rotate(writer: LogWriter): void {
  writer.rotate()
  writeFileSync(writer.path, '')
  chownSync(writer.path, 0, ADM)
  chmodSync(writer.path, LOG_MODE)
}

async function packageFiles(host: BootedHost, version: string): Promise<string[]> {
  return (await host.run('find', '/srv/packages', '-name', `millrace-agent_${version}_*.deb`)).trim().split('\n')
}

async function property(host: BootedHost, name: string): Promise<string> {
  return (await host.run('systemctl', 'show', '--property', name, '--value', UNIT)).trim()
}

const journal = (host: BootedHost) => host.run('journalctl', '--unit', UNIT, '--no-pager', '--output=cat')

/** What the package has brought or made. */
async function leftovers(host: BootedHost): Promise<string[]> {
  const places = ['/etc', '/usr', '/lib/systemd', '/var/lib/millrace']
  const found = await host.run(
    'sh',
    '-c',
    `find ${places.join(' ')} -xdev -path '*millrace*' -not -path '*/node_modules/*' 2>/dev/null || :`,
  )
  return found
    .split('\n')
    .filter((path) => path && !/\.lock(-journal)?$/.test(path)) // an agent stopped as it starts leaves its lock's journal
    .sort()
}
