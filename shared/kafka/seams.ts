import type { Socket } from 'node:net'
import manifest from 'kafkajs/package.json' with { type: 'json' }
import Connection from 'kafkajs/src/network/connection.js'
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js'
import Encoder from 'kafkajs/src/protocol/encoder.js'
import protocol, { type RequestDefinition } from 'kafkajs/src/protocol/requests/index.js'
import { isEncoded, ProduceBody, type ProduceOptions } from './produce-request.ts'

/** What is replaced below was read in this release and in no other. */
const KAFKAJS = '2.2.4'
const PRODUCE_VERSION_MIN = 3

let installed = false

/**
 * Changes what docs/protocols/kafka-seams.md lists of kafkajs, and says why that is safe; once for the process. Throws when
 * kafkajs is not the release that this was read in.
 */
export function installSeams(): void {
  if (installed) return
  if (manifest.version !== KAFKAJS)
    throw new Error(`kafkajs must be exactly ${KAFKAJS}, found ${manifest.version}: install the pinned dependencies`)
  replaceProduce(protocol.requests.Produce)
  for (const name of NAMING) nameRefusedTopic(protocol.requests[name])
  copyNoBodies()
  dropEmptyRemainder()
  stopIdleTimers()
  installed = true
}

/** The produce seam: a request whose batches are encoded already is written as it is; all others are kafkajs's own. */
function replaceProduce(definition: RequestDefinition): void {
  const original = definition.protocol
  definition.protocol = ({ version }) => {
    const create = original({ version })
    if (version < PRODUCE_VERSION_MIN) return create
    return (options) => {
      const made = create(options)
      if (!isEncoded(options)) return made
      const encode = async () => new ProduceBody(options as unknown as ProduceOptions)
      return { ...made, request: { ...made.request, encode } }
    }
  }
}

/** Requests whose answers speak of several topics. */
const NAMING = ['Produce', 'AddPartitionsToTxn', 'TxnOffsetCommit'] as const
/** What AddPartitionsToTxn answers for partitions that are well, because others are not. */
const OPERATION_NOT_ATTEMPTED = 55

type Partitions = readonly { readonly errorCode: number }[]
type OfTopic = { topic?: string; topicName?: string; partitions?: Partitions; partitionErrors?: Partitions }

/** kafkajs throws the first error of an answer, and forgets which topic it is of: whoever writes to several must know. */
function nameRefusedTopic(definition: RequestDefinition): void {
  const original = definition.protocol
  definition.protocol = (version) => {
    const create = original(version)
    return (options) => {
      const { request, response } = create(options)
      return { request, response: { ...response, parse: (data) => parseNaming(data, response.parse) } }
    }
  }
}

async function parseNaming(data: unknown, parse: (data: unknown) => Promise<unknown>): Promise<unknown> {
  const { topics = [], errors = [] } = data as { topics?: readonly OfTopic[]; errors?: readonly OfTopic[] }
  const isRefused = ({ errorCode }: Partitions[number]) => errorCode !== 0 && errorCode !== OPERATION_NOT_ATTEMPTED
  const refused = [...topics, ...errors].find((of) => (of.partitions ?? of.partitionErrors ?? []).some(isRefused))
  if (!refused) return parse(data)
  return parse({ ...(data as object), topics: [refused], errors: [refused] }).catch((error: unknown) => {
    throw Object.assign(error as Error, { topic: refused.topicName ?? refused.topic })
  })
}

/** On an encoder, and on the buffer that kafkajs takes from it: what is to be written behind that. */
const BODY = Symbol('body')

/**
 * kafkajs puts a request's body into an encoder behind its header, and that one into another behind its size: each time into zeroed
 * memory of the next power of two. Our bodies stay where they are: both encoders only count them, and the socket writes them
 * behind the last one's bytes. Nine tenths of the memory and most of the cost of publishing uncompressed batches were those copies.
 */
function copyNoBodies(): void {
  const { writeEncoder } = Encoder.prototype
  Encoder.prototype.writeEncoder = function (value) {
    if (value instanceof ProduceBody)
      return Object.assign(this, { buf: this.buffer, offset: this.offset + value.length, [BODY]: value })
    const { [BODY]: body, buf } = value as { [BODY]?: ProduceBody; buf: Buffer }
    if (!body) return writeEncoder.call(this, value)
    const head = Object.assign(Buffer.concat([this.buffer, buf]), { [BODY]: body })
    return Object.defineProperty(this, 'buffer', { value: head })
  }
}

/** Has a socket write the body of a request behind its head, all at once. */
export function writeWithBody(socket: Socket): void {
  const write = socket.write.bind(socket) as (data: Uint8Array | string, encoding?: unknown, done?: unknown) => boolean
  const writeParts = (data: Uint8Array & { [BODY]?: ProduceBody }, encoding?: unknown, done?: unknown): boolean => {
    const body = data[BODY]
    if (!body) return write(data, encoding, done)
    socket.cork()
    write(data)
    for (const part of body.parts) write(part)
    socket.uncork()
    return !socket.writableNeedDrain
  }
  socket.write = writeParts as Socket['write']
}

/**
 * After each response kafkajs keeps the (mostly empty) remainder as a chunk, and joins it with the next response: one more copy
 * of everything that is fetched. An empty remainder carries nothing, so it can go.
 */
function dropEmptyRemainder(): void {
  const { processData } = Connection.prototype
  Connection.prototype.processData = function (data) {
    if (this.bytesBuffered === 0) this.chunks = []
    processData.call(this, data)
  }
}

/**
 * An idle queue asks itself again and again, with a time-out in the past, whether something waits: 2,700 timers a second. It
 * needs no timer while nothing waits: `push` asks for one as soon as something does.
 */
function stopIdleTimers(): void {
  const { scheduleCheckPendingRequests } = RequestQueue.prototype
  RequestQueue.prototype.scheduleCheckPendingRequests = function () {
    if (this.pending.length > 0) scheduleCheckPendingRequests.call(this)
  }
}
