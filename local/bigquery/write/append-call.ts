import { status } from '@grpc/grpc-js'
import { messageOf } from '../../../shared/errors.ts'
import type { Fault } from '../../faults/index.ts'
import { type Surroundings, underFault } from '../under-fault.ts'
import { type Appends, type Connection, newConnection } from './append.ts'
import { parseAppendRequest } from './append-request.ts'
import { statusOf, WriteError } from './errors.ts'
import { type AppendRowsResponse, STORAGE_ERROR_CODES, type StorageErrorCode } from './messages.ts'
import { idleTooLong } from './streams.ts'

/** A connection without requests is ended after this time. */
export const IDLE_MS_MAX = 600_000

/** The server's side of one AppendRows call. */
export interface AppendStream {
  write(response: AppendRowsResponse): void
  /** Ends the call well. */
  end(): void
  /** Ends the call with an error. */
  fail(error: WriteError): void
  /** Destroys the connection below. */
  drop(): void
  pause(): void
  resume(): void
}

/** One AppendRows call: requests are answered in their order, also when a fault makes one of them wait. */
export class AppendCall {
  readonly #appends: Appends
  readonly #stream: AppendStream
  readonly #surroundings: Surroundings
  readonly #entry: string
  readonly #connection: Connection = newConnection()
  readonly #waiting: Buffer[] = []
  #busy = false
  #ended = false
  #halfClosed = false
  #lastMs: number
  #stopIdle: () => void

  constructor(appends: Appends, stream: AppendStream, surroundings: Surroundings, entry: string) {
    this.#appends = appends
    this.#stream = stream
    this.#surroundings = surroundings
    this.#entry = entry
    this.#lastMs = surroundings.clock.now()
    this.#stopIdle = surroundings.clock.after(IDLE_MS_MAX, () => this.#checkIdle())
  }

  message(message: Buffer): void {
    if (this.#ended) return
    this.#lastMs = this.#surroundings.clock.now()
    if (this.#busy) this.#waiting.push(message)
    else this.#next(message)
  }

  /** The client sends no more. */
  halfClose(): void {
    this.#halfClosed = true
    if (!this.#busy) this.#finish(() => this.#stream.end())
  }

  /** The client is gone. */
  cancel(): void {
    this.#finish(() => undefined)
  }

  #next(message: Buffer): void {
    const resource = parseAppendRequest(message)?.writeStream || this.#connection.writeStream
    const fault = this.#surroundings.strike('AppendRows', resource, this.#entry)
    if (fault === undefined) this.#answer(message)
    else void this.#faulty(message, fault)
  }

  #answer(message: Buffer): void {
    try {
      this.#stream.write(this.#appends.append(this.#connection, message))
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Requests behind the faulty one wait until it is answered; behind one that hangs they wait for ever. */
  async #faulty(message: Buffer, fault: Fault): Promise<void> {
    this.#busy = true
    this.#stream.pause()
    try {
      const effect = () => this.#appends.append(this.#connection, message)
      const outcome = await underFault(fault, this.#surroundings.clock, effect)
      if (outcome.kind === 'silence' || this.#ended) return
      if (outcome.kind === 'drop') return this.#finish(() => this.#stream.drop())
      if (outcome.kind === 'fault') this.#answerFault(outcome.fault)
      else this.#stream.write(outcome.answer)
    } catch (error) {
      this.#fail(error)
    }
    this.#busy = false
    this.#stream.resume()
    this.#drain()
  }

  #drain(): void {
    while (!this.#busy && !this.#ended && this.#waiting.length > 0) this.#next(this.#waiting.shift() as Buffer)
    if (this.#halfClosed && !this.#busy) this.#finish(() => this.#stream.end())
  }

  #answerFault(fault: Extract<Fault, { kind: 'error' }>): void {
    const error = faultError(fault, this.#connection.writeStream)
    if (fault.inBand) this.#stream.write({ error: statusOf(error), writeStream: this.#connection.writeStream })
    else this.#finish(() => this.#stream.fail(error))
  }

  #fail(error: unknown): void {
    const known = error instanceof WriteError ? error : new WriteError(status.INTERNAL, messageOf(error), '')
    this.#finish(() => this.#stream.fail(known))
  }

  #checkIdle(): void {
    const idleMs = this.#surroundings.clock.now() - this.#lastMs
    if (idleMs >= IDLE_MS_MAX) return this.#finish(() => this.#stream.fail(idleTooLong(IDLE_MS_MAX / 1000)))
    this.#stopIdle = this.#surroundings.clock.after(IDLE_MS_MAX - idleMs, () => this.#checkIdle())
  }

  #finish(how: () => void): void {
    if (this.#ended) return
    this.#ended = true
    this.#stopIdle()
    how()
  }
}

/** An error of a fault plan as the service would send it. */
export function faultError(fault: Extract<Fault, { kind: 'error' }>, entity: string): WriteError {
  const { storageError } = fault
  const known = storageError !== undefined && storageError in STORAGE_ERROR_CODES
  const message = fault.message ?? `fault: ${fault.code}`
  return new WriteError(status[fault.code], message, entity, known ? (storageError as StorageErrorCode) : undefined)
}
