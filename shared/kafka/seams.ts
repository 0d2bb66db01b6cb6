import manifest from 'kafkajs/package.json' with { type: 'json' }
import Connection from 'kafkajs/src/network/connection.js'
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js'
import Encoder from 'kafkajs/src/protocol/encoder.js'
import protocol, { type RequestDefinition } from 'kafkajs/src/protocol/requests/index.js'
import { isEncoded, ProduceBody, type ProduceOptions } from './produce-request.ts'

/** What is replaced below was read in this release and in no other. */
const KAFKAJS = '2.2.4'
const PRODUCE_KEY = 0
const PRODUCE_VERSION_MIN = 3
const PRODUCE_VERSIONS = '0,1,2,3,4,5,6,7'
const FETCH_VERSIONS = '0,1,2,3,4,5,6,7,8,9,10,11'

let installed = false

/**
 * Changes four functions of kafkajs, once for the process: docs/protocols/kafka-seams.md says which and why that is safe.
 * Throws when kafkajs is not the release that they were read in, or is there twice.
 */
export function installSeams(): void {
  if (installed) return
  verifyRelease()
  replaceProduce(protocol.requests.Produce)
  copyBodiesOnce()
  dropEmptyRemainder()
  stopIdleTimers()
  verifyProduce()
  installed = true
}

function verifyRelease(): void {
  const { Produce, Fetch } = protocol.requests
  const found = [manifest.version, Produce.versions.join(), Fetch.versions.join()]
  const expected = [KAFKAJS, PRODUCE_VERSIONS, FETCH_VERSIONS]
  const shape = [
    RequestQueue.prototype.scheduleCheckPendingRequests,
    Connection.prototype.processData,
    Encoder.prototype.writeEncoder,
  ]
  if (found.join(' ') === expected.join(' ') && shape.every((method) => typeof method === 'function')) return
  throw new Error(`kafkajs must be exactly ${KAFKAJS}, found ${manifest.version}: install the pinned dependencies`)
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

/** The size that stands before every request. */
const SIZE_BYTES = 4
/** Marks the encoder whose buffer is the end of a whole frame. */
const FRAME = Symbol('frame')

/**
 * kafkajs puts a request's body into an encoder behind its header, and that one into another behind its size: each time into zeroed
 * memory of the next power of two. For our bodies the first encoder gets the memory of the whole frame, and the second takes
 * that over: half of the cost of publishing uncompressed batches.
 */
function copyBodiesOnce(): void {
  const { writeEncoder } = Encoder.prototype
  Encoder.prototype.writeEncoder = function (value) {
    if (value instanceof ProduceBody) {
      const frame = Buffer.allocUnsafeSlow(SIZE_BYTES + this.offset + value.length)
      this.buf.copy(frame, SIZE_BYTES, 0, this.offset)
      value.copyTo(frame, SIZE_BYTES + this.offset)
      return Object.assign(this, { buf: frame.subarray(SIZE_BYTES), offset: frame.length - SIZE_BYTES, [FRAME]: frame })
    }
    const frame = (value as { [FRAME]?: Buffer })[FRAME]
    if (!frame || this.offset !== SIZE_BYTES) return writeEncoder.call(this, value)
    this.buf.copy(frame, 0, 0, SIZE_BYTES)
    return Object.assign(this, { buf: frame, offset: frame.length })
  }
}

/** The way that kafkajs looks a request up must lead to the replacement: a bundler could have made two copies. */
function verifyProduce(): void {
  const create = protocol.lookup({ [PRODUCE_KEY]: { maxVersion: 7 } })(PRODUCE_KEY, protocol.requests.Produce)
  const { request } = create({ acks: -1, timeout: 0, topicData: [] })
  if (request.apiKey === PRODUCE_KEY && request.apiVersion === 7) return
  throw new Error(`kafkajs ${KAFKAJS} answers a Produce request in an unexpected way: its files were changed`)
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
