import { freePort } from '../free-port.ts'

/** The ports of one broker, all on 127.0.0.1. */
export interface Ports {
  plain: number
  controller: number
  /** One for each extra listener, in their order. */
  extra: number[]
}

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
