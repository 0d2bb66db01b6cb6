import {
  CallCredentials,
  ChannelCredentials,
  Client,
  type ClientDuplexStream,
  Metadata,
  type ServiceError,
  credentials,
} from '@grpc/grpc-js'
import { GoogleAuth } from 'google-auth-library'
import type { Config } from '../config/index.ts'
import { userAgent } from '../telemetry/index.ts'
import { METHODS, pathOf } from './wire.ts'

const SERVICE = 'bigquerystorage.googleapis.com:443'
const SCOPE = 'https://www.googleapis.com/auth/bigquery'
/** HTTP/2 servers allow 100 streams on a connection, and the next one hangs (nodejs-bigquery-storage #423). */
const APPEND_STREAMS_PER_CHANNEL_MAX = 90
const UNARY_DEADLINE_MS = 60_000
const KEEPALIVE_MS = 30_000

export type AppendCall = ClientDuplexStream<Buffer, Buffer>

/** gRPC connections to the Storage Write API. */
export interface Channel {
  /** @throws ServiceError */
  unary(method: keyof typeof METHODS, routing: string, request: object): Promise<Record<string, unknown>>
  /** A bidirectional AppendRows call for raw messages; `release` is to be called once when it has ended. */
  openAppend(stream: string): { call: AppendCall; release(): void }
  close(): void
}

export function openChannel(config: Config, entry: string): Channel {
  const address = config.endpoints.bigquery_storage ?? SERVICE
  const channelCredentials = config.endpoints.bigquery_storage ? credentials.createInsecure() : googleCredentials()
  const pool: { client: Client; appends: number }[] = []

  const grow = () => {
    const client = new Client(address, channelCredentials, {
      'grpc.primary_user_agent': userAgent(entry),
      'grpc.use_local_subchannel_pool': 1,
      'grpc.keepalive_time_ms': KEEPALIVE_MS,
      // Nothing is ever sent twice by itself, and what was sent is not kept for it.
      'grpc.enable_retries': 0,
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
    })
    const slot = { client, appends: 0 }
    pool.push(slot)
    return slot
  }

  return {
    unary(method, routing, request) {
      const { client } = pool[0] ?? grow()
      const [requestCodec, responseCodec] = METHODS[method]
      const options = { deadline: Date.now() + UNARY_DEADLINE_MS }
      return new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          pathOf(method),
          requestCodec.encode,
          responseCodec.decode,
          request,
          routingHeader(routing),
          options,
          (error: ServiceError | null, response?: Record<string, unknown>) =>
            error ? reject(error) : resolve(response ?? {}),
        )
      })
    },
    openAppend(stream) {
      const slot = pool.find(({ appends }) => appends < APPEND_STREAMS_PER_CHANNEL_MAX) ?? grow()
      slot.appends++
      const identity = (bytes: Buffer) => bytes
      const header = routingHeader(`write_stream=${encodeURIComponent(stream)}`)
      const call = slot.client.makeBidiStreamRequest(pathOf('AppendRows'), identity, identity, header)
      return { call, release: () => void slot.appends-- }
    },
    close: () => pool.forEach(({ client }) => client.close()),
  }
}

/** Tells the front end outside the US which region serves the request. */
function routingHeader(routing: string): Metadata {
  const metadata = new Metadata()
  metadata.set('x-goog-request-params', routing)
  return metadata
}

/** grpc-js's own adapter for Google credentials finds no header in what google-auth-library 10 and later return. */
function googleCredentials(): ChannelCredentials {
  const auth = new GoogleAuth({ scopes: [SCOPE] })
  const perCall = CallCredentials.createFromMetadataGenerator((_options, callback) => {
    auth.getAccessToken().then(
      (token) => {
        const metadata = new Metadata()
        metadata.set('authorization', `Bearer ${token}`)
        callback(null, metadata)
      },
      (error: unknown) => callback(error instanceof Error ? error : new Error(String(error))),
    )
  })
  return credentials.combineChannelCredentials(credentials.createSsl(), perCall)
}
