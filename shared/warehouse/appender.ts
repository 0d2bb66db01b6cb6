import { type AppendAnswer, classifyFailure, classifyResponse, failureOf } from './answers.ts'
import type { Channel } from './channel.ts'
import type { Call, GrpcError } from './grpc.ts'
import { appendRowsResponse, field, varint } from './wire.ts'

const DEFAULTS = {
  /** An append without an answer for this long counts as lost. It may still land: hours later, as has been measured. */
  answerWithinMs: 60_000,
  /** Requests that are sent and not answered, in bytes; the next one waits in its turn. The service saturates at 10 MB/s a connection. */
  inFlightBytesMax: 16 * 1024 * 1024,
}

interface Pending {
  readonly rows: Buffer
  readonly offset: number | undefined
  readonly resolve: (answer: AppendAnswer) => void
  sentAtMs: number
}

/** What is other than in DEFAULTS. */
export type AppenderOptions = Readonly<Partial<typeof DEFAULTS>>

/** What whoever appends needs of it. */
export type Appender = Pick<StreamAppender, 'stream' | 'append' | 'close'>

/**
 * Appends to one stream: in order, several in flight, every answer a value. After `lost`, `gone` or `denied` all that was under way has
 * the same answer; a next append opens a new connection. Nothing is ever sent twice: that is the caller's decision.
 */
export class StreamAppender {
  readonly stream: string
  readonly #channel: Channel
  readonly #descriptor: Buffer
  readonly #options: typeof DEFAULTS
  readonly #waiting: Pending[] = []
  readonly #sent: Pending[] = []
  #inFlightBytes = 0
  #call: Call | undefined
  #watchdog: NodeJS.Timeout | undefined

  /** @param descriptor the encoded DescriptorProto of the rows */
  constructor(channel: Channel, stream: string, descriptor: Buffer, options: AppenderOptions = {}) {
    this.stream = stream
    this.#channel = channel
    this.#descriptor = descriptor
    this.#options = { ...DEFAULTS, ...options }
  }

  /**
   * @param rows the body of ProtoRows (RowBuffer's form): sent from where it is, so leave it untouched until the answer
   * @param offset the stream's end that the request expects; undefined on a default stream
   */
  append(rows: Buffer, offset: number | undefined): Promise<AppendAnswer> {
    const { promise, resolve } = Promise.withResolvers<AppendAnswer>()
    this.#waiting.push({ rows, offset, resolve, sentAtMs: 0 })
    this.#send()
    return promise
  }

  /** Ends the connection; what has no answer yet is `lost`. */
  close(): void {
    if (this.#sent.length === 0) this.#call?.end()
    this.#disconnect({ kind: 'lost', message: 'the appender was closed' })
  }

  #send(): void {
    for (let next = this.#waiting[0]; next && this.#hasRoomFor(next); next = this.#waiting[0]) {
      this.#waiting.shift()
      const opening = this.#call ? undefined : { stream: this.stream, descriptor: this.#descriptor }
      const call = this.#call ?? this.#connect()
      next.sentAtMs = performance.now()
      this.#inFlightBytes += next.rows.length
      this.#sent.push(next)
      if (this.#sent.length === 1) this.#watch()
      call.send(appendRequest(next, opening))
    }
  }

  #hasRoomFor({ rows }: Pending): boolean {
    return this.#sent.length === 0 || this.#inFlightBytes + rows.length <= this.#options.inFlightBytesMax
  }

  #connect(): Call {
    const opened: Call = this.#channel.openAppend(this.stream, {
      message: (bytes) => this.#call === opened && this.#answered(bytes),
      ended: (error) => this.#call === opened && this.#disconnect(endOfCall(error)),
    })
    this.#call = opened
    return opened
  }

  #answered(bytes: Buffer): void {
    const answer = classifyResponse(appendRowsResponse.decode(bytes))
    const request = this.#sent.shift()
    if (!request) return this.#disconnect({ kind: 'lost', message: 'an answer to no request' })
    this.#inFlightBytes -= request.rows.length
    const sound = answer.kind !== 'written' || answer.offset === request.offset
    request.resolve(sound ? answer : { kind: 'lost', message: `acknowledged another offset than ${request.offset}` })
    // A connection that was opened before a new column had spread never learns of it; what was behind the append that says so, is a gap.
    if (answer.kind !== 'written' && this.#sent.length === 0 && this.#waiting.length === 0) this.#disconnect(answer)
    this.#watch()
    this.#send()
  }

  #disconnect(answer: AppendAnswer): void {
    this.#call?.cancel()
    this.#call = undefined
    this.#inFlightBytes = 0
    clearTimeout(this.#watchdog)
    for (const { resolve } of [...this.#sent.splice(0), ...this.#waiting.splice(0)]) resolve(answer)
  }

  /** The oldest request's time to be answered. */
  #watch(): void {
    clearTimeout(this.#watchdog)
    const [oldest] = this.#sent
    if (!oldest) return
    const { answerWithinMs } = this.#options
    const late = () => this.#disconnect({ kind: 'lost', message: `no answer within ${answerWithinMs} ms` })
    this.#watchdog = setTimeout(late, Math.max(0, oldest.sentAtMs + answerWithinMs - performance.now()))
  }
}

/** The end of a call says what became of no request in particular: only that a stream is gone, or denied, is sure. */
function endOfCall(error: GrpcError | undefined): AppendAnswer {
  if (!error) return { kind: 'lost', message: 'the server ended the connection' }
  const answer = classifyFailure(failureOf(error))
  if (answer.kind === 'gone' || answer.kind === 'denied') return answer
  return { kind: 'lost', message: 'message' in answer ? answer.message : error.message }
}

/**
 * AppendRowsRequest { write_stream = 1, offset = 2 { value = 1 }, proto_rows = 4 { writer_schema = 1 { descriptor = 1 }, rows = 2 } }:
 * stream and schema in the first request of a connection only.
 */
function appendRequest({ rows, offset }: Pending, opening?: { stream: string; descriptor: Buffer }): Buffer[] {
  const schema = opening ? field(1, field(1, opening.descriptor)) : Buffer.alloc(0)
  const rowsHead = Buffer.concat([varint(2 * 8 + 2), varint(rows.length)])
  const head = Buffer.concat([
    opening ? field(1, Buffer.from(opening.stream)) : Buffer.alloc(0),
    offset === undefined ? Buffer.alloc(0) : field(2, Buffer.concat([varint(1 * 8), varint(offset)])),
    varint(4 * 8 + 2),
    varint(schema.length + rowsHead.length + rows.length),
    schema,
    rowsHead,
  ])
  return [head, rows]
}
