import { createServer, type Socket } from 'node:net'
import {
  type handleBidiStreamingCall,
  type handleUnaryCall,
  Metadata,
  type ServerDuplexStream,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { messageOf, UserError } from '../../../shared/errors.ts'
import { entryOf } from '../../faults/index.ts'
import type { Store } from '../store/store.ts'
import { type Surroundings, underFault } from '../under-fault.ts'
import type { Appends } from './append.ts'
import { AppendCall, faultError } from './append-call.ts'
import { notBuilt, statusOf, WriteError } from './errors.ts'
import {
  appendRowsResponse,
  type AppendRowsResponse,
  codec,
  rpcStatus,
  storageErrorMessage,
  timestampOfMs,
  writeStream,
} from './messages.ts'
import type { Streams } from './streams.ts'

/** Calls that a client may have open on one HTTP/2 connection, as with the service: the next one waits. */
const CALLS_A_CONNECTION_MAX = 100
/** What the transport takes; requests above the service's own limit are answered as the service does. */
const MESSAGE_BYTES_MAX = 64 * 1024 * 1024

const PACKAGE = 'google.cloud.bigquery.storage.v1'
const v1 = <T extends object>(name: string) => codec<T>(`${PACKAGE}.${name}`)
const identity = (bytes: Buffer) => bytes

interface Messages {
  CreateWriteStream: { parent: string; writeStream: { type: number } | null }
  GetWriteStream: { name: string; view: number }
  FinalizeWriteStream: { name: string }
  BatchCommitWriteStreams: { parent: string; writeStreams: string[] }
  FlushRows: { writeStream: string }
}
type Unary = keyof Messages

const REQUESTS = {
  CreateWriteStream: v1<Messages['CreateWriteStream']>('CreateWriteStreamRequest'),
  GetWriteStream: v1<Messages['GetWriteStream']>('GetWriteStreamRequest'),
  FinalizeWriteStream: v1<Messages['FinalizeWriteStream']>('FinalizeWriteStreamRequest'),
  BatchCommitWriteStreams: v1<Messages['BatchCommitWriteStreams']>('BatchCommitWriteStreamsRequest'),
  FlushRows: v1<Messages['FlushRows']>('FlushRowsRequest'),
}
const finalizeResponse = v1<{ rowCount: number }>('FinalizeWriteStreamResponse')
const commitResponse = v1<{
  commitTime?: { seconds: number; nanos: number }
  streamErrors?: { code: number; entity: string; errorMessage: string }[]
}>('BatchCommitWriteStreamsResponse')

/** Each method: what the call is about, and its answer. */
function unaryMethods(streams: Streams): {
  [M in Unary]: { resource(request: Messages[M]): string; answer(request: Messages[M]): Buffer }
} {
  return {
    CreateWriteStream: {
      resource: ({ parent }) => parent,
      answer: (request) => writeStream.encode(streams.create(request.parent, request.writeStream?.type ?? 0)),
    },
    GetWriteStream: {
      resource: ({ name }) => name,
      answer: ({ name, view }) => writeStream.encode(streams.get(name, view)),
    },
    FinalizeWriteStream: {
      resource: ({ name }) => name,
      answer: ({ name }) => finalizeResponse.encode(streams.finalize(name)),
    },
    BatchCommitWriteStreams: {
      resource: ({ parent }) => parent,
      answer({ parent, writeStreams }) {
        const committed = streams.commit(parent, writeStreams)
        return 'timeMs' in committed
          ? commitResponse.encode({ commitTime: timestampOfMs(committed.timeMs) })
          : commitResponse.encode({ streamErrors: committed.errors.map(storageErrorMessage) })
      },
    },
    FlushRows: {
      resource: (request) => request.writeStream,
      answer() {
        throw notBuilt('FlushRows (BUFFERED streams)')
      },
    },
  }
}

export interface WriteServerOptions {
  store: Store
  streams: Streams
  appends: Appends
  surroundings: Surroundings
  /** 0: any free port. */
  port: number
}

export interface WriteServer {
  port: number
  stop(): Promise<void>
}

/** BigQueryWrite on 127.0.0.1, without encryption. Throws a UserError when the port is taken. */
export async function startWriteServer(options: WriteServerOptions): Promise<WriteServer> {
  const server = new Server({
    'grpc.max_concurrent_streams': CALLS_A_CONNECTION_MAX,
    'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
  })
  const sockets = new Map<string, Socket>()
  server.addService(
    definition(),
    implementation(options, (peer) => sockets.get(peer)?.destroy()),
  )
  // The sockets are ours, so that a fault can destroy the one below a call.
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure())
  const listener = createServer((socket) => {
    const peer = `${socket.remoteAddress}:${socket.remotePort}`
    sockets.set(peer, socket)
    socket.once('close', () => sockets.delete(peer))
    socket.setNoDelay(true)
    injector.injectConnection(socket)
  })
  await listen(listener, options.port)
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('bigquery: no port')
  return {
    port: address.port,
    async stop() {
      const closed = new Promise((resolve) => listener.close(resolve))
      server.forceShutdown()
      for (const socket of sockets.values()) socket.destroy()
      injector.destroy()
      await closed
    },
  }
}

function listen(listener: ReturnType<typeof createServer>, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    listener.once('error', (error) =>
      reject(
        new UserError(`BigQuery's write port ${port}: ${messageOf(error)}`, 'Choose another port.', { cause: error }),
      ),
    )
    listener.listen(port, '127.0.0.1', resolve)
  })
}

function definition(): ServiceDefinition {
  const method = (name: string, stream: boolean) => ({
    path: `/${PACKAGE}.BigQueryWrite/${name}`,
    requestStream: stream,
    responseStream: stream,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: stream ? (value: AppendRowsResponse) => appendRowsResponse.encode(value) : identity,
    responseDeserialize: identity,
  })
  const unary = Object.keys(REQUESTS).map((name) => [name, method(name, false)] as const)
  return Object.fromEntries([...unary, ['AppendRows', method('AppendRows', true)] as const])
}

type Drop = (peer: string) => void

function implementation(options: WriteServerOptions, drop: Drop): UntypedServiceImplementation {
  const methods = unaryMethods(options.streams)
  const handlers: UntypedServiceImplementation = {
    AppendRows: ((call) => serveAppends(call, options, drop)) satisfies handleBidiStreamingCall<
      Buffer,
      AppendRowsResponse
    >,
  }
  for (const name of Object.keys(REQUESTS) as Unary[])
    handlers[name] = unaryHandler(name, methods, options.surroundings, drop)
  return handlers
}

function unaryHandler<M extends Unary>(
  name: M,
  methods: ReturnType<typeof unaryMethods>,
  { clock, strike }: Surroundings,
  drop: Drop,
): handleUnaryCall<Buffer, Buffer> {
  return (call, callback) => {
    const answer = async () => {
      const request = REQUESTS[name].decode(call.request) as Messages[M]
      const resource = methods[name].resource(request)
      const outcome = await underFault(strike(name, resource, callerOf(call)), clock, () =>
        methods[name].answer(request),
      )
      if (outcome.kind === 'answer') callback(null, outcome.answer)
      else if (outcome.kind === 'fault') callback(rpcError(faultError(outcome.fault, resource)))
      else if (outcome.kind === 'drop') drop(call.getPeer())
    }
    answer().catch((error: unknown) => callback(rpcError(error)))
  }
}

function serveAppends(
  call: ServerDuplexStream<Buffer, AppendRowsResponse>,
  options: WriteServerOptions,
  drop: Drop,
): void {
  const appendCall = new AppendCall(
    options.appends,
    {
      write: (response) => void call.write(response),
      end: () => void call.end(),
      fail: (error) => void call.emit('error', rpcError(error)),
      drop: () => drop(call.getPeer()),
      pause: () => void call.pause(),
      resume: () => void call.resume(),
    },
    options.surroundings,
    callerOf(call),
  )
  call.on('data', (message: Buffer) => appendCall.message(message))
  call.on('end', () => appendCall.halfClose())
  call.on('cancelled', () => appendCall.cancel())
  call.on('close', () => appendCall.cancel())
}

function callerOf(call: ServerUnaryCall<Buffer, Buffer> | ServerDuplexStream<Buffer, AppendRowsResponse>): string {
  return entryOf(call.metadata.get('user-agent').map(String))
}

/** The end of a call: code and text, and google.rpc.Status with its details in the trailer. */
function rpcError(error: unknown): { code: number; details: string; metadata: Metadata } {
  const known = error instanceof WriteError ? error : new WriteError(status.INTERNAL, messageOf(error), '')
  const metadata = new Metadata()
  if (known.storageError !== undefined) metadata.set('grpc-status-details-bin', rpcStatus.encode(statusOf(known)))
  return { code: known.code, details: known.message, metadata }
}
