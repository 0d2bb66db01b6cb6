import { type AppendAnswer, classifyFailure, classifyResponse, failureOf } from './answers.ts'
import type { Channel } from './channel.ts'
import type { Call, GrpcError } from './grpc.ts'
import { appendRowsResponse, field, varint } from './wire.ts'

/** Requests that are sent and not answered, in bytes; the next one waits in its turn. The service saturates at 10 MB/s a connection. */
const IN_FLIGHT_BYTES_MAX = 16 * 1024 * 1024
/** An append without an answer for this long counts as lost. It may still land: hours later, as has been measured. */
const ANSWER_WITHIN_MS = 60_000

/**
 * Appends to one stream: in order, several in flight, every answer a value. After `lost`, `gone` or `denied` all that was under way has
 * the same answer; a next append opens a new connection. Nothing is ever sent twice: that is the caller's decision.
 */
export interface Appender {
  readonly stream: string
  /**
   * @param rows the body of ProtoRows (RowBuffer's form): sent from where it is, so leave it untouched until the answer
   * @param offset the stream's end that the request expects; undefined on a default stream
   */
  append(rows: Buffer, offset: number | undefined): Promise<AppendAnswer>
  /** Ends the connection; what has no answer yet is `lost`. */
  close(): void
}

interface Pending {
  readonly rows: Buffer
  readonly offset: number | undefined
  readonly resolve: (answer: AppendAnswer) => void
  sentAtMs: number
}

/** @param descriptor the encoded DescriptorProto of the rows */
export function openAppender(
  channel: Channel,
  stream: string,
  descriptor: Buffer,
  { answerWithinMs = ANSWER_WITHIN_MS, inFlightBytesMax = IN_FLIGHT_BYTES_MAX } = {},
): Appender {
  const waiting: Pending[] = []
  const sent: Pending[] = []
  let inFlightBytes = 0
  let connection: Call | undefined
  let watchdog: NodeJS.Timeout | undefined

  const connect = (): Call => {
    const opened: Call = channel.openAppend(stream, {
      message: (bytes) => connection === opened && answered(bytes),
      ended: (error) => connection === opened && disconnect(endOfCall(error)),
    })
    connection = opened
    return opened
  }

  const disconnect = (answer: AppendAnswer) => {
    const ended = connection
    connection = undefined
    inFlightBytes = 0
    clearTimeout(watchdog)
    ended?.cancel()
    for (const { resolve } of [...sent.splice(0), ...waiting.splice(0)]) resolve(answer)
  }

  const answered = (bytes: Buffer) => {
    const answer = classifyResponse(appendRowsResponse.decode(bytes))
    const request = sent.shift()
    if (!request) return disconnect({ kind: 'lost', message: 'an answer to no request' })
    inFlightBytes -= request.rows.length
    const sound = answer.kind !== 'written' || answer.offset === request.offset
    request.resolve(sound ? answer : { kind: 'lost', message: `acknowledged another offset than ${request.offset}` })
    // A connection that was opened before a new column had spread never learns of it.
    if (answer.kind === 'later' && sent.length === 0 && waiting.length === 0) disconnect(answer)
    watch()
    send()
  }

  const send = () => {
    for (let next = waiting[0]; next && fits(next); next = waiting[0]) {
      waiting.shift()
      const first = connection === undefined
      const call = connection ?? connect()
      next.sentAtMs = Date.now()
      inFlightBytes += next.rows.length
      sent.push(next)
      if (sent.length === 1) watch()
      call.send(appendRequest(next, first ? { stream, descriptor } : undefined))
    }
  }
  const fits = ({ rows }: Pending) => sent.length === 0 || inFlightBytes + rows.length <= inFlightBytesMax

  const watch = () => {
    clearTimeout(watchdog)
    const [oldest] = sent
    if (!oldest) return
    const late = () => disconnect({ kind: 'lost', message: `no answer within ${answerWithinMs} ms` })
    watchdog = setTimeout(late, Math.max(0, oldest.sentAtMs + answerWithinMs - Date.now()))
  }

  return {
    stream,
    append(rows, offset) {
      const { promise, resolve } = Promise.withResolvers<AppendAnswer>()
      waiting.push({ rows, offset, resolve, sentAtMs: 0 })
      send()
      return promise
    },
    close() {
      if (sent.length === 0) connection?.end()
      disconnect({ kind: 'lost', message: 'the appender was closed' })
    },
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
