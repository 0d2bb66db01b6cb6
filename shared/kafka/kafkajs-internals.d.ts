// kafkajs has types for its public face only. These are the inner parts that this room leans on; `seams.ts` checks at
// start that they are the ones of the release they were written for.

declare module 'kafkajs/package.json' {
  const manifest: { readonly version: string }
  export default manifest
}

declare module 'kafkajs/src/protocol/requests/index.js' {
  /** A request and how its answer is read: what `connectionPool.send` takes. */
  export interface ProtocolRequest {
    readonly request: {
      readonly apiVersion: number
      encode(): Promise<unknown>
    }
    readonly response: { decode(payload: Buffer): Promise<unknown>; parse(decoded: unknown): Promise<unknown> }
  }
  export type RequestFactory = (options: Readonly<Record<string, unknown>>) => ProtocolRequest
  export interface RequestDefinition {
    protocol(options: { version: number }): RequestFactory
  }
  const protocol: {
    readonly requests: Readonly<
      Record<'Produce' | 'Fetch' | 'AddPartitionsToTxn' | 'TxnOffsetCommit', RequestDefinition>
    >
  }
  export default protocol
}

declare module 'kafkajs/src/network/requestQueue/index.js' {
  const RequestQueue: { readonly prototype: { scheduleCheckPendingRequests(): void; pending: readonly unknown[] } }
  export default RequestQueue
}

declare module 'kafkajs/src/network/connection.js' {
  const Connection: { readonly prototype: { processData(data: Buffer): void; chunks: Buffer[]; bytesBuffered: number } }
  export default Connection
}

declare module 'kafkajs/src/protocol/encoder.js' {
  export default class Encoder {
    buf: Buffer
    offset: number
    /** What was written, as a view. */
    readonly buffer: Buffer
    writeInt8(value: number): this
    writeInt16(value: number): this
    writeInt32(value: number): this
    writeUInt32(value: number): this
    writeInt64(value: number | string): this
    writeString(value: string | null): this
    writeEncoder(value: object): this
  }
}

declare module 'kafkajs/src/protocol/decoder.js' {
  export default class Decoder {
    constructor(buffer: Buffer)
    readInt16(): number
    readInt32(): number
    readInt64(): bigint
    readString(): string | null
    /** A view; without a length it stands before the bytes. What lies beyond the end is left out. */
    readBytes(length?: number): Buffer | null
    readArray<Item>(read: (decoder: Decoder) => Item): Item[]
  }
}
