import { status } from '@grpc/grpc-js'
import { entryOf } from '../../faults/index.ts'
import { type Surroundings, underFault } from '../under-fault.ts'
import type { Appends } from './append.ts'
import { AppendCall, faultError } from './append-call.ts'
import { notBuilt, WriteError } from './errors.ts'
import { type CallHandler, type GrpcCall, type GrpcServer, type Methods, startGrpcServer } from './grpc.ts'
import { codec, storageErrorMessage, timestampOfMs, writeStream } from './messages.ts'
import type { Streams } from './streams.ts'

const PACKAGE = 'google.cloud.bigquery.storage.v1'
const v1 = <T extends object>(name: string) => codec<T>(`${PACKAGE}.${name}`)

const createRequest = v1<{ parent: string; writeStream: { type: number } | null }>('CreateWriteStreamRequest')
const getRequest = v1<{ name: string; view: number }>('GetWriteStreamRequest')
const finalizeRequest = v1<{ name: string }>('FinalizeWriteStreamRequest')
const finalizeResponse = v1<{ rowCount: number }>('FinalizeWriteStreamResponse')
const commitRequest = v1<{ parent: string; writeStreams: string[] }>('BatchCommitWriteStreamsRequest')
const commitResponse = v1<{
  commitTime?: { seconds: number; nanos: number }
  streamErrors?: { code: number; entity: string; errorMessage: string }[]
}>('BatchCommitWriteStreamsResponse')
const flushRequest = v1<{ writeStream: string }>('FlushRowsRequest')

/** A unary method, its request decoded: what the call is about, and how it is answered. */
interface Invocation {
  resource: string
  answer(): Buffer
}

function invocations(streams: Streams): Readonly<Record<string, (message: Buffer) => Invocation>> {
  return {
    CreateWriteStream(message) {
      const request = createRequest.decode(message)
      const { parent } = request
      return {
        resource: parent,
        answer: () => writeStream.encode(streams.create(parent, request.writeStream?.type ?? 0)),
      }
    },
    GetWriteStream(message) {
      const { name, view } = getRequest.decode(message)
      return { resource: name, answer: () => writeStream.encode(streams.get(name, view)) }
    },
    FinalizeWriteStream(message) {
      const { name } = finalizeRequest.decode(message)
      return { resource: name, answer: () => finalizeResponse.encode(streams.finalize(name)) }
    },
    BatchCommitWriteStreams(message) {
      const { parent, writeStreams } = commitRequest.decode(message)
      return { resource: parent, answer: () => commit(streams, parent, writeStreams) }
    },
    FlushRows(message) {
      const answer = () => {
        throw notBuilt('FlushRows (BUFFERED streams)')
      }
      return { resource: flushRequest.decode(message).writeStream, answer }
    },
  }
}

function commit(streams: Streams, parent: string, names: readonly string[]): Buffer {
  const committed = streams.commit(parent, names)
  return 'timeMs' in committed
    ? commitResponse.encode({ commitTime: timestampOfMs(committed.timeMs) })
    : commitResponse.encode({ streamErrors: committed.errors.map(storageErrorMessage) })
}

export interface WriteServerOptions {
  streams: Streams
  appends: Appends
  surroundings: Surroundings
  /** 0: any free port. */
  port: number
  /** AppendRows' answers come so much later, however many are under way. */
  answerAfterMs?: number
}

/** BigQueryWrite on 127.0.0.1, without encryption. Throws a UserError when the port is taken. */
export function startWriteServer(options: WriteServerOptions): Promise<GrpcServer> {
  const { streams, appends, surroundings, port, answerAfterMs = 0 } = options
  const unary = Object.entries(invocations(streams)).map(
    ([name, decode]) => [pathOf(name), (call: GrpcCall) => new UnaryCall(name, call, decode, surroundings)] as const,
  )
  const append = (call: GrpcCall) =>
    new AppendCall(appends, answerAfterMs > 0 ? late(call, answerAfterMs) : call, surroundings, callerOf(call))
  const methods: Methods = new Map<string, (call: GrpcCall) => CallHandler>([...unary, [pathOf('AppendRows'), append]])
  return startGrpcServer(methods, port)
}

/** The same call with its answers delayed, in their order. */
function late(call: GrpcCall, ms: number): GrpcCall {
  return {
    headers: call.headers,
    write: (message) => void setTimeout(() => call.write(message), ms),
    end: () => void setTimeout(() => call.end(), ms),
    fail: (error) => void setTimeout(() => call.fail(error), ms),
    drop: () => call.drop(),
    pause: () => call.pause(),
    resume: () => call.resume(),
  }
}

function pathOf(method: string): string {
  return `/${PACKAGE}.BigQueryWrite/${method}`
}

/** The entry stands in gRPC's user agent or, from clients built on google-gax, in a header of their own. */
function callerOf({ headers }: GrpcCall): string {
  return entryOf([headers['user-agent'] ?? '', String(headers['x-goog-api-client'] ?? '')])
}

/** A call with one request and one answer. */
class UnaryCall implements CallHandler {
  readonly #name: string
  readonly #call: GrpcCall
  readonly #decode: (message: Buffer) => Invocation
  readonly #surroundings: Surroundings
  #invocation: Invocation | undefined

  constructor(name: string, call: GrpcCall, decode: (message: Buffer) => Invocation, surroundings: Surroundings) {
    this.#name = name
    this.#call = call
    this.#decode = decode
    this.#surroundings = surroundings
  }

  message(message: Buffer): void {
    try {
      this.#invocation = this.#decode(message)
    } catch {
      this.#call.fail(new WriteError(status.INVALID_ARGUMENT, 'The request cannot be decoded.', ''))
    }
  }

  halfClose(): void {
    const invocation = this.#invocation
    if (invocation === undefined) this.#call.fail(new WriteError(status.INTERNAL, 'The request is missing.', ''))
    else this.#serve(invocation).catch((error: unknown) => this.#call.fail(error))
  }

  closed(): void {}

  async #serve({ resource, answer }: Invocation): Promise<void> {
    const fault = this.#surroundings.strike(this.#name, resource, callerOf(this.#call))
    const outcome = await underFault(fault, this.#surroundings.clock, answer)
    if (outcome.kind === 'drop') this.#call.drop()
    else if (outcome.kind === 'fault') this.#call.fail(faultError(outcome.fault, resource))
    else if (outcome.kind === 'answer') {
      this.#call.write(outcome.answer)
      this.#call.end()
    }
  }
}
