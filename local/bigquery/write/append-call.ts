import { status } from '@grpc/grpc-js'
import { messageOf } from '../../../shared/errors.ts'
import type { Fault } from '../../faults/index.ts'
import { type Surroundings, underFault } from '../under-fault.ts'
import { type Appends, type Connection, newConnection } from './append.ts'
import { parseAppendRequest } from './append-request.ts'
import { statusOf, WriteError } from './errors.ts'
import type { CallHandler, GrpcCall } from './grpc.ts'
import { type AppendRowsResponse, appendRowsResponse, STORAGE_ERROR_CODES, type StorageErrorCode } from './messages.ts'
import { idleTooLong } from './streams.ts'

/** A connection without requests is ended after this time. */
export const IDLE_MS_MAX = 600_000

/** One AppendRows call: requests are answered in their order, also when a fault makes one of them wait. */
export class AppendCall implements CallHandler {
  readonly #appends: Appends
  readonly #call: GrpcCall
  readonly #surroundings: Surroundings
  readonly #entry: string
  readonly #connection: Connection = newConnection()
  readonly #waiting: Buffer[] = []
  #busy = false
  #ended = false
  #halfClosed = false
  #lastMs: number
  #stopIdle: () => void

  constructor(appends: Appends, call: GrpcCall, surroundings: Surroundings, entry: string) {
    this.#appends = appends
    this.#call = call
    this.#surroundings = surroundings
    this.#entry = entry
    this.#lastMs = surroundings.clock.now()
    this.#stopIdle = surroundings.clock.after(IDLE_MS_MAX, () => this.#checkIdle())
  }

  message(message: Buffer): void {
    if (this.#ended) return
    this.#lastMs = this.#surroundings.clock.now()
    // The message's bytes are valid only now.
    if (this.#busy) this.#waiting.push(Buffer.from(message))
    else this.#next(message)
  }

  halfClose(): void {
    this.#halfClosed = true
    if (!this.#busy) this.#finish(() => this.#call.end())
  }

  closed(): void {
    this.#finish(() => undefined)
  }

  #next(message: Buffer): void {
    const resource = parseAppendRequest(message)?.writeStream || this.#connection.writeStream
    const fault = this.#surroundings.strike('AppendRows', resource, this.#entry)
    if (fault === undefined) this.#answer(message)
    else void this.#faulty(Buffer.from(message), fault)
  }

  #answer(message: Buffer): void {
    try {
      this.#write(this.#appends.append(this.#connection, message))
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Requests behind the faulty one wait until it is answered; behind one that hangs they wait for ever. */
  async #faulty(message: Buffer, fault: Fault): Promise<void> {
    this.#busy = true
    this.#call.pause()
    try {
      const effect = () => this.#appends.append(this.#connection, message)
      const outcome = await underFault(fault, this.#surroundings.clock, effect)
      if (outcome.kind === 'silence' || this.#ended) return
      if (outcome.kind === 'drop') return this.#finish(() => this.#call.drop())
      if (outcome.kind === 'fault') this.#answerFault(outcome.fault)
      else this.#write(outcome.answer)
    } catch (error) {
      this.#fail(error)
    }
    this.#busy = false
    this.#call.resume()
    this.#drain()
  }

  #drain(): void {
    while (!this.#busy && !this.#ended && this.#waiting.length > 0) this.#next(this.#waiting.shift() as Buffer)
    if (this.#halfClosed && !this.#busy) this.#finish(() => this.#call.end())
  }

  #write(response: AppendRowsResponse): void {
    this.#call.write(appendRowsResponse.encode(response))
  }

  #answerFault(fault: Extract<Fault, { kind: 'error' }>): void {
    const error = faultError(fault, this.#connection.writeStream)
    if (fault.inBand) this.#write({ error: statusOf(error), writeStream: this.#connection.writeStream })
    else this.#finish(() => this.#call.fail(error))
  }

  #fail(error: unknown): void {
    const known = error instanceof WriteError ? error : new WriteError(status.INTERNAL, messageOf(error), '')
    this.#finish(() => this.#call.fail(known))
  }

  #checkIdle(): void {
    const idleMs = this.#surroundings.clock.now() - this.#lastMs
    if (idleMs >= IDLE_MS_MAX) return this.#finish(() => this.#call.fail(idleTooLong(IDLE_MS_MAX / 1000)))
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
