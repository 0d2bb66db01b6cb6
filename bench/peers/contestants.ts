import { existsSync, mkdirSync, openSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { Measured } from './processes.ts'

/** What a contestant is to do: carry every line of `<folder>/logs/*.log` to the topic. */
export interface Task {
  readonly folder: string
  readonly brokers: string
  readonly topic: string
  /** The program `millrace`: the bundle that is packaged, or the sources. */
  readonly millrace: string
}

export interface Contestant {
  readonly name: string
  /** Follows files as they come; the other kind is given one file that is there already. */
  readonly follows: boolean
  /** Commits its position with its data: the figure that it gives includes that. */
  readonly exactlyOnce: boolean
  /** Why it cannot take part here; undefined: it can. */
  missing(): string | undefined
  start(task: Task): Measured
}

/** Debian's packages rsyslog and syslog-ng exclude each other: so they may also lie unpacked below this folder. */
const UNPACKED = process.env['MILLRACE_PEERS'] ?? '/opt/millrace-peers'
const HOW_TO_GET = 'see bench/peers/README.md'

export const CONTESTANTS: readonly Contestant[] = [
  millrace('none'),
  millrace('zstd'),
  {
    name: 'rsyslog, omkafka',
    follows: true,
    exactlyOnce: false,
    missing: () => (program('sbin/rsyslogd') && moduleFolder('rsyslog', 'omkafka.so') ? undefined : HOW_TO_GET),
    start: ({ folder, brokers, topic }) => {
      const modules = moduleFolder('rsyslog', 'omkafka.so') ?? ''
      const config = write(
        folder,
        'rsyslog.conf',
        `global(workDirectory="${folder}")
module(load="imfile" mode="inotify")
module(load="omkafka")
main_queue(queue.type="LinkedList" queue.size="100000" queue.dequeueBatchSize="4096")
template(name="line" type="string" string="%msg%")
input(type="imfile" File="${folder}/logs/*.log" Tag="bench" PersistStateInterval="10000" escapeLF="off")
action(type="omkafka" broker=["${brokers}"] topic="${topic}" template="line" partitions.auto="on"
  confParam=["queue.buffering.max.messages=500000", "linger.ms=20", "batch.size=1000000"])
`,
      )
      const command = [program('sbin/rsyslogd') ?? '', '-n', '-f', config, '-i', join(folder, 'pid'), '-M', modules]
      return new Measured(command, libraries())
    },
  },
  {
    name: 'syslog-ng, kafka-c',
    follows: true,
    exactlyOnce: false,
    missing: () => (program('sbin/syslog-ng') && moduleFolder('syslog-ng', 'libkafka.so') ? undefined : HOW_TO_GET),
    start: ({ folder, brokers, topic }) => {
      const config = write(
        folder,
        'syslog-ng.conf',
        `@version: 3.38
options { stats-freq(0); log-msg-size(65536); };
source s { wildcard-file(base-dir("${folder}/logs") filename-pattern("*.log") flags(no-parse) follow-freq(0.2)
  log-iw-size(100000) log-fetch-limit(1000)); };
destination d { kafka-c(bootstrap-servers("${brokers}") topic("${topic}") message("$MSG") workers(1) batch-lines(1000)
  log-fifo-size(200000) config(linger.ms("20") batch.size("1000000") queue.buffering.max.messages("500000"))); };
log { source(s); destination(d); flags(flow-control); };
`,
      )
      const place = ['--persist-file', 'persist', '--pidfile', 'pid', '--control', 'ctl'].map((word) =>
        word.startsWith('--') ? word : join(folder, word),
      )
      const modules = moduleFolder('syslog-ng', 'libkafka.so') ?? ''
      const command = [program('sbin/syslog-ng') ?? '', '-F', '--no-caps', '-f', config, ...place]
      return new Measured([...command, '--module-path', modules], libraries())
    },
  },
  {
    name: 'Fluent Bit, out_kafka',
    follows: true,
    exactlyOnce: false,
    missing: () => (program('bin/fluent-bit') ? undefined : 'not a package of Debian; put fluent-bit on the path'),
    start: ({ folder, brokers, topic }) => {
      const config = write(
        folder,
        'fluent-bit.conf',
        `[SERVICE]
  Flush 0.2
  Log_Level error
  storage.path ${folder}/storage
[INPUT]
  Name tail
  Path ${folder}/logs/*.log
  DB ${folder}/tail.db
  Read_From_Head On
  Refresh_Interval 1
  Buffer_Chunk_Size 512k
  Buffer_Max_Size 2M
  storage.type filesystem
[OUTPUT]
  Name kafka
  Match *
  Brokers ${brokers}
  Topics ${topic}
  Format raw
  Raw_Log_Key log
`,
      )
      return new Measured([program('bin/fluent-bit') ?? '', '-c', config], libraries())
    },
  },
  {
    name: 'librdkafka alone: kcat, one transaction',
    follows: false,
    exactlyOnce: false,
    missing: () => (program('bin/kcat') ? undefined : 'install the package kcat'),
    start: ({ folder, brokers, topic }) => {
      const file = join(folder, 'logs', readdirSync(join(folder, 'logs'))[0] ?? '')
      const transaction = ['-X', `transactional.id=${topic}`, '-X', 'transaction.timeout.ms=600000']
      const queue = ['-X', 'linger.ms=20', '-X', 'batch.size=1000000', '-X', 'queue.buffering.max.messages=500000']
      const command = [program('bin/kcat') ?? '', '-P', '-b', brokers, '-t', topic, ...transaction, ...queue]
      return new Measured(command, {}, openSync(file, 'r'))
    },
  },
]

function millrace(compression: 'none' | 'zstd'): Contestant {
  return {
    name: `millrace, ${compression}`,
    follows: true,
    exactlyOnce: true,
    missing: () => undefined,
    start: ({ folder, brokers, topic, millrace }) => {
      const config = {
        project: 'bench',
        dataset: 'bench',
        kafka: { brokers: [brokers] },
        routes: { lines: { topic, format: 'raw', table: 'lines' } },
        agent: {
          id: topic,
          logs: [{ path: join(folder, 'logs', '*.log'), route: 'lines' }],
          compression,
          lock_file: join(folder, 'lock'),
          finish_after: '5s',
        },
      }
      const flags = process.env['AGENT_FLAGS']?.split(' ').filter(Boolean) ?? []
      const file = write(folder, 'millrace.yaml', stringify(config))
      return new Measured([process.execPath, ...flags, millrace, 'agent', '--config', file])
    },
  }
}

function write(folder: string, name: string, text: string): string {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, name)
  writeFileSync(file, text)
  return file
}

function roots(): string[] {
  return [join(UNPACKED, 'usr'), '/usr', '/opt/fluent-bit', '/usr/local']
}

function program(name: string): string | undefined {
  return roots()
    .map((root) => join(root, name))
    .find((path) => existsSync(path))
}

/** The folder of a daemon's modules, when it holds this one; modules lie below `lib`, by machine or by version. */
function moduleFolder(daemon: string, module: string): string | undefined {
  return libFolders()
    .map((folder) => join(folder, daemon))
    .flatMap((folder) => [folder, ...below(folder)])
    .find((folder) => existsSync(join(folder, module)))
}

function libFolders(): string[] {
  return roots().flatMap((root) => [
    join(root, 'lib'),
    ...below(join(root, 'lib')).filter((path) => path.endsWith('-linux-gnu')),
  ])
}

function below(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []
}

function libraries(): NodeJS.ProcessEnv {
  const folders = libFolders().filter((path) => path.startsWith(UNPACKED))
  const deeper = folders.flatMap((folder) => [folder, folder.replace('/usr/lib', '/lib'), join(folder, 'syslog-ng')])
  return { LD_LIBRARY_PATH: deeper.join(':') }
}

/** Whether the lines of a topic can be counted by a client that is not ours. */
export function kcat(args: readonly string[]): string[] | undefined {
  const path = program('bin/kcat')
  return path ? [path, ...args] : undefined
}
