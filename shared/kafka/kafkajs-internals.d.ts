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
      readonly apiKey: number
      readonly apiVersion: number
      readonly apiName: string
      encode(): Promise<unknown>
    }
    readonly response: { decode(payload: Buffer): Promise<unknown>; parse(decoded: unknown): Promise<unknown> }
    readonly requestTimeout?: number
  }
  export type RequestFactory = (options: Readonly<Record<string, unknown>>) => ProtocolRequest
  export interface RequestDefinition {
    readonly versions: readonly string[]
    protocol(options: { version: number }): RequestFactory
  }
  const protocol: {
    readonly requests: Readonly<Record<'Produce' | 'Fetch', RequestDefinition>>
    lookup(
      versions: Readonly<Record<number, { maxVersion: number }>>,
    ): (apiKey: number, definition: RequestDefinition) => RequestFactory
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
  interface Encoder {
    buf: Buffer
    offset: number
    writeEncoder(value: object): Encoder
  }
  const Encoder: { readonly prototype: Encoder }
  export default Encoder
}
