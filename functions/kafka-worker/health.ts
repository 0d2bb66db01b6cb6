import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PROMETHEUS_TYPE } from '../../shared/telemetry/index.ts'
import { metricsText } from './metrics.ts'

/** What a platform asks a process without an HTTP entry of its own. */
export interface HealthSource {
  /** Takes part in its group. */
  ready(): boolean
  snapshot(): Record<string, unknown>
}

/** `/live` and `/ready` for probes, `/metrics` in Prometheus's text form. Resolves when it listens. */
export async function serveHealth(port: number, source: HealthSource): Promise<{ port: number; close(): void }> {
  const server: Server = createServer((request, response) => {
    const path = request.url?.split('?')[0]
    if (path === '/metrics') {
      response.writeHead(200, { 'content-type': PROMETHEUS_TYPE }).end(metricsText(source.snapshot()))
      return
    }
    const healthy = path === '/live' || path === '/' || (path === '/ready' && source.ready())
    response.writeHead(healthy ? 200 : path === '/ready' ? 503 : 404).end()
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(port, resolve)
  await promise
  server.unref()
  return { port: (server.address() as AddressInfo).port, close: () => server.close() }
}
