/** Size of a response, which stands before it. */
const SIZE_BYTES = 4
/** No answer of a broker is that large, but the first bytes of another protocol would be taken for such a size. */
const RESPONSE_BYTES_MAX = 1024 ** 3

/**
 * Cuts what a connection brings into responses, each in memory of its own from the first byte on: a socket reads to where `room`
 * says (`onread` of node:net), and nothing is copied or joined afterwards.
 */
export class ResponseReader {
  readonly #size = Buffer.allocUnsafeSlow(SIZE_BYTES)
  #into = this.#size
  #filled = 0

  /** Where the next bytes go. */
  room(): Buffer {
    return this.#filled === 0 ? this.#into : this.#into.subarray(this.#filled)
  }

  /**
   * So many bytes have come.
   * @returns the response with its size before it, when it is complete
   * @throws RangeError when this is not Kafka's protocol
   */
  took(bytes: number): Buffer | undefined {
    this.#filled += bytes
    if (this.#filled === SIZE_BYTES && this.#into === this.#size) this.#begin(this.#size.readInt32BE(0))
    if (this.#into === this.#size || this.#filled < this.#into.length) return undefined
    const response = this.#into
    this.#into = this.#size
    this.#filled = 0
    return response
  }

  #begin(size: number): void {
    if (size < 0 || size > RESPONSE_BYTES_MAX) throw new RangeError(`a response of ${size} bytes: is this Kafka?`)
    this.#into = Buffer.allocUnsafeSlow(SIZE_BYTES + size)
    this.#size.copy(this.#into)
  }
}
