import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type ISocketFactory, Kafka, type LogEntry, logLevel, type PartitionAssigner, type RetryOptions } from 'kafkajs'
import type { KafkaConfig } from '../config/index.ts'
import { createLog } from '../telemetry/index.ts'
import { authentication } from './auth.ts'
import type { Cluster } from './cluster.ts'
import { ResponseReader } from './response-reader.ts'
import { installSeams, writeWithBody } from './seams.ts'

/** The longest wait for a connection. */
const CONNECT_TIMEOUT_MS = 5000
/** A request without an answer after this time counts as lost: below the agent's transaction time-out. */
const REQUEST_TIMEOUT_MS = 10_000
const KEEP_ALIVE_MS = 60_000
/**
 * From 5 ms on, because back-to-back transactions meet CONCURRENT_TRANSACTIONS for a few milliseconds; about 4 s in all, after
 * which the caller decides. Explicit, because kafkajs's defaults differ with the kind of client.
 */
const RETRY: RetryOptions = { initialRetryTime: 5, maxRetryTime: 500, factor: 0.2, multiplier: 2, retries: 14 }

/** Connections to one Kafka cluster. Opened when they are needed. */
export type KafkaClient = ReturnType<typeof connectKafka>

/**
 * The way to Kafka: verifies kafkajs and installs the seams, reads the secrets. Connects to nothing yet. Throws UserError for
 * unreadable secrets and certificates.
 * @param options a request without an answer after `requestTimeoutMs` counts as lost
 */
export function connectKafka(config: KafkaConfig, clientId: string, { requestTimeoutMs = REQUEST_TIMEOUT_MS } = {}) {
  installSeams()
  const kafka = new Kafka({
    brokers: [...config.brokers],
    clientId,
    ...authentication(config),
    connectionTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: requestTimeoutMs,
    retry: RETRY,
    socketFactory,
    logLevel: logLevel.WARN,
    logCreator,
  })
  const shared = openCluster(kafka)
  return {
    /** For this room only. */
    kafka,
    /** A cluster of its own: connections, metadata and coordinators. */
    openCluster: () => openCluster(kafka),
    /** One cluster for reading, shared. */
    async cluster(): Promise<Cluster> {
      await shared.connect()
      return shared
    },
    /** Closes the shared connections. Producers and groups close their own. */
    close: () => shared.disconnect(),
    /** For `await using`. */
    [Symbol.asyncDispose]: () => shared.disconnect(),
  }
}

/** kafkajs hands its cluster to a partition assigner, and to nobody else. */
function openCluster(kafka: Kafka): Cluster {
  let cluster: unknown
  const spy: PartitionAssigner = (context) => {
    cluster = context.cluster
    return { name: '', version: 1, assign: async () => [], protocol: () => ({ name: '', metadata: Buffer.alloc(0) }) }
  }
  kafka.consumer({ groupId: 'unused', allowAutoTopicCreation: false, partitionAssigners: [spy] })
  return cluster as Cluster
}

/** What kafkajs calls errors it mostly mends itself; whoever called it gets those that it does not. */
function logCreator(): (entry: LogEntry) => void {
  const log = createLog('kafkajs')
  return ({ namespace, log: { message, timestamp: _, logger: __, ...rest } }) =>
    log.debug({ namespace, ...rest }, message)
}

/**
 * As kafkajs's own, but for two things. Its data are whole responses. And its ends: kafkajs listens to `end` and `error`, but not to
 * `close`, so a socket that is destroyed without either would leave its requests waiting for ever.
 */
export function socketFactory({ host, port, ssl, onConnect }: Parameters<ISocketFactory>[0]): Socket {
  const name = isIP(host) ? {} : { servername: host }
  const reader = new ResponseReader()
  const onread = { buffer: () => reader.room(), callback: (bytes: number) => took(bytes) }
  const at = { host, port, onread }
  const socket = ssl ? connectTls({ ...at, ...name, ...ssl }, onConnect) : connectTcp(at, onConnect)
  const took = (bytes: number): boolean => {
    try {
      const response = reader.took(bytes)
      if (response) socket.emit('data', response)
      return true
    } catch (error) {
      socket.destroy(error as Error)
      return false
    }
  }
  socket.setKeepAlive(true, KEEP_ALIVE_MS)
  writeWithBody(socket)
  let told = false
  socket.once('end', () => (told = true)).once('error', () => (told = true))
  socket.once('close', () => {
    // kafkajs ends a dead socket with every try to reconnect, and each `unref` would leave a listener on it.
    socket.unref = () => socket
    if (!told && !socket.writableEnded) socket.emit('error', new Error('the connection was closed'))
  })
  return socket
}
