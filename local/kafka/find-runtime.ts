import { join } from 'node:path'
import { UserError } from '../../shared/errors.ts'
import { archiveFlags } from './archive.ts'
import { type Command, run } from './command.ts'
import { findJars, homeJars, KAFKA_VERSION } from './jars.ts'
import { findJava } from './java.ts'
import type { Ports } from './ports.ts'
import type { Runtime } from './runtime.ts'

export interface RuntimeOptions {
  env: NodeJS.ProcessEnv
  /** Told one line for each thing that takes long: fetching the jars, for one. */
  say: (line: string) => void
}

/** Quick to start and small: the C1 compiler alone saves a third of start-up and memory; the rest is for crashes. */
const JAVA_FLAGS = ['-Xms64m', '-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:+ExitOnOutOfMemoryError']
const LOG_CONFIG = join(import.meta.dirname, 'log4j2.properties')
const IMAGE = `apache/kafka:${KAFKA_VERSION}`
const DOCKER_PROBE_MS = 5000

/**
 * The first way that works: KAFKA_HOME, Java with the jars from Maven, Docker.
 * @throws UserError that names the ways, and why each does not work here.
 */
export async function findRuntime(options: RuntimeOptions): Promise<Runtime> {
  const home = options.env['KAFKA_HOME']
  if (home !== undefined && home !== '') return homeRuntime(home, options)
  const reasons: string[] = []
  for (const way of [mavenRuntime, dockerRuntime]) {
    const found = await way(options)
    if (typeof found !== 'string') return found
    reasons.push(found)
  }
  throw new UserError(
    `no way to run Kafka on this machine: ${reasons.join('; ')}`,
    'Install Java 17 or later and Maven (Debian: apt-get install default-jre-headless maven; macOS: brew install maven), ' +
      'or start Docker, or set KAFKA_HOME to an unpacked Kafka 4, or KAFKA_BROKERS=host:port to a running broker.',
  )
}

async function homeRuntime(home: string, options: RuntimeOptions): Promise<Runtime> {
  const classpath = homeJars(home)
  const java = await findJava(options.env)
  if ('reason' in java) throw new UserError(`KAFKA_HOME is set, but ${java.reason}`, 'Install Java 17 or later.')
  return javaRuntime(`Kafka of ${home} on Java ${java.version}`, java.path, classpath, [])
}

async function mavenRuntime(options: RuntimeOptions): Promise<Runtime | string> {
  const java = await findJava(options.env)
  if ('reason' in java) return java.reason
  const jars = await findJars(options)
  if ('reason' in jars) return jars.reason
  const flags = await archiveFlags(java, jars, options, (extra) => javaRuntime('', java.path, jars.classpath, extra))
  return javaRuntime(`Kafka ${KAFKA_VERSION} on Java ${java.version}`, java.path, jars.classpath, flags)
}

function javaRuntime(name: string, java: string, classpath: string, flags: readonly string[]): Runtime {
  const start = (javaOptions: readonly string[], ...main: string[]): Command => [
    java,
    ...JAVA_FLAGS,
    ...flags,
    `-Dlog4j2.configurationFile=${LOG_CONFIG}`,
    ...javaOptions,
    '-cp',
    classpath,
    ...main,
  ]
  return {
    name,
    bind: '127.0.0.1',
    container: () => '',
    format: (file, _dataDir, args) => start([], 'kafka.tools.StorageTool', 'format', '-c', file, ...args),
    broker: (file, _dataDir, _ports, javaOptions) => start(javaOptions, 'kafka.Kafka', file),
  }
}

async function dockerRuntime(): Promise<Runtime | string> {
  const probe = await run(['docker', 'version', '--format', '{{.Server.Version}}'], { timeoutMs: DOCKER_PROBE_MS })
  if (probe.code !== 0) return 'no Docker daemon answers'
  return {
    name: `Kafka ${KAFKA_VERSION} in Docker ${probe.output}`,
    bind: '0.0.0.0',
    container: containerName,
    format: (file, dataDir, args) => dockerRun(dataDir, [], 'kafka-storage.sh', ['format', '-c', file, ...args]),
    broker: (file, dataDir, ports, javaOptions) =>
      dockerRun(dataDir, brokerFlags(dataDir, ports, javaOptions), 'kafka-server-start.sh', [file]),
  }
}

/** The data folder has the same path inside, so that server.properties and key stores below it need no second form. */
function dockerRun(dataDir: string, flags: readonly string[], script: string, args: readonly string[]): Command {
  const user = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`
  const common = ['run', '--rm', '--user', user, '-v', `${dataDir}:${dataDir}`, '-e', 'LOG_DIR=/tmp']
  return ['docker', ...common, ...flags, '--entrypoint', `/opt/kafka/bin/${script}`, IMAGE, ...args]
}

function brokerFlags(dataDir: string, ports: Ports, javaOptions: readonly string[]): string[] {
  const published = [ports.plain, ...ports.extra].flatMap((port) => ['-p', `127.0.0.1:${port}:${port}`])
  const log = ['-v', `${LOG_CONFIG}:/log4j2.properties:ro`]
  const java = [
    'KAFKA_LOG4J_OPTS=-Dlog4j2.configurationFile=/log4j2.properties',
    'KAFKA_HEAP_OPTS=',
    `KAFKA_JVM_PERFORMANCE_OPTS=${[...JAVA_FLAGS, ...javaOptions].join(' ')}`,
  ]
  return ['--name', containerName(dataDir), ...published, ...log, ...java.flatMap((value) => ['-e', value])]
}

/** One container for each data folder. */
function containerName(dataDir: string): string {
  return `millrace-kafka-${Buffer.from(dataDir).toString('hex').slice(-40)}`
}
