import { GoogleAuth } from 'google-auth-library'
import type { Config } from '../config/index.ts'
import { userAgent } from '../telemetry/index.ts'
import { type Call, type CallListener, GrpcClient, type HeaderSource } from './grpc.ts'
import { METHODS, pathOf } from './wire.ts'

const SERVICE = 'https://bigquerystorage.googleapis.com'
const SCOPE = 'https://www.googleapis.com/auth/bigquery'

/** Connections to the Storage Write API. */
export type Channel = ReturnType<typeof openChannel>

/** @param entry who calls: part of the user agent */
export function openChannel(config: Config, entry: string) {
  const address = config.endpoints.bigquery_storage
  const agent = { 'user-agent': userAgent(entry) }
  const client = address
    ? new GrpcClient(`http://${address}`, async () => agent)
    : new GrpcClient(SERVICE, googleHeaders(agent))
  return {
    /**
     * @param routing what tells the front end outside the US which region serves the request: `parent=...`
     * @throws GrpcError
     */
    async unary(method: keyof typeof METHODS, routing: string, request: object): Promise<Record<string, unknown>> {
      const [requestCodec, responseCodec] = METHODS[method]
      return responseCodec.decode(await client.unary(pathOf(method), routing, requestCodec.encode(request)))
    },
    openAppend: (stream: string, listener: CallListener): Call =>
      client.open(pathOf('AppendRows'), `write_stream=${encodeURIComponent(stream)}`, listener),
    close: () => client.close(),
  }
}

function googleHeaders(agent: Record<string, string>): HeaderSource {
  const auth = new GoogleAuth({ scopes: [SCOPE] })
  return async () => ({ ...agent, authorization: `Bearer ${await auth.getAccessToken()}` })
}
