import { createServer } from 'node:net'

/** The ports of one broker, all on 127.0.0.1. */
export interface Ports {
  plain: number
  controller: number
  /** One for each extra listener, in their order. */
  extra: number[]
}

/**
 * Below the range from which systems take the source ports of connections (Linux 32768, macOS 49152). A client that
 * calls a killed broker's port from inside that range may connect to itself, and the broker cannot bind it again.
 */
const PORT_MIN = 20_000
const PORT_MAX = 32_000
const TRIES_MAX = 200

/** Free ports on 127.0.0.1; `plain` is taken as given when it is. */
export async function freePorts(extraCount: number, plain?: number): Promise<Ports> {
  const taken = new Set<number>(plain === undefined ? [] : [plain])
  const next = async () => {
    const port = await freePort(taken)
    taken.add(port)
    return port
  }
  const ports: Ports = { plain: plain ?? (await next()), controller: await next(), extra: [] }
  for (let i = 0; i < extraCount; i++) ports.extra.push(await next())
  return ports
}

async function freePort(taken: ReadonlySet<number>): Promise<number> {
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
