import { createServer } from 'node:net'

/**
 * Below the range from which systems take the source ports of connections (Linux 32768, macOS 49152): a port from inside it may be
 * taken by any connection before its server listens, and a client that calls a killed server's port may connect to itself, so that the
 * server cannot bind it again.
 */
const PORT_MIN = 20_000
const PORT_MAX = 32_000
const TRIES_MAX = 200

/** A port on 127.0.0.1 that nobody listens on at this moment, and none of those `taken`. */
export async function freePort(taken: ReadonlySet<number> = new Set()): Promise<number> {
  for (let i = 0; i < TRIES_MAX; i++) {
    const port = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN))
    if (!taken.has(port) && (await isFree(port))) return port
  }
  throw new Error(`no free port between ${PORT_MIN} and ${PORT_MAX} in ${TRIES_MAX} tries`)
}

/** Whether a server could listen there now. */
export function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const server = createServer()
  server.once('error', () => resolve(false))
  server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  return promise
}
