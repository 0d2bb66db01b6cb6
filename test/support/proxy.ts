import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** Kafka's request types by number. https://kafka.apache.org/protocol#protocol_api_keys */
export const API = {
  Produce: 0,
  Fetch: 1,
  ListOffsets: 2,
  Metadata: 3,
  OffsetCommit: 8,
  OffsetFetch: 9,
  FindCoordinator: 10,
  JoinGroup: 11,
  Heartbeat: 12,
  LeaveGroup: 13,
  SyncGroup: 14,
  InitProducerId: 22,
  AddPartitionsToTxn: 24,
  AddOffsetsToTxn: 25,
  EndTxn: 26,
  TxnOffsetCommit: 28,
} as const

/**
 * What happens to a request.
 * - `lose-request`: the broker never sees it, the client waits.
 * - `lose-answer`: the broker acts on it, the client waits.
 * - `cut-before`: the connection breaks instead of carrying it.
 * - `cut-after`: the broker acts on it, then the connection breaks instead of carrying the answer.
 * - `hold`: it waits for `release()` and then reaches the broker, even if the client is long gone: a late packet.
 */
export type ProxyAction =
  | 'lose-request'
  | 'lose-answer'
  | 'cut-before'
  | 'cut-after'
  | 'hold'
  | { delayAnswerMs: number }

export interface ProxyRule {
  /** How many requests it has met. */
  readonly hits: number
  /** Lets the held requests go, and no further one is held. */
  release(): void
  /** From now on requests pass. */
  remove(): void
}

/** A TCP proxy in front of one broker that knows requests apart. All connections to the broker must begin with it. */
export interface KafkaProxy {
  /** Bootstrap address to give to the client under test. */
  readonly brokers: string
  /** Requests seen so far, by number of the API. */
  readonly seen: ReadonlyMap<number, number>
  /**
   * Acts on the next `times` (default 1) requests of this kind, after letting `skip` (default 0) pass. With `holdMs` what is held
   * is let go so long after it was met.
   */
  on(api: number, action: ProxyAction, options?: { times?: number; skip?: number; holdMs?: number }): ProxyRule
  /** Breaks all connections. */
  cutAll(): void
  close(): Promise<void>
}

/** Starts a proxy on a free port in front of `brokers` (one `host:port`). The caller closes it. */
export async function startProxy(brokers: string): Promise<KafkaProxy> {
  const [host = '', port = ''] = brokers.split(':')
  const rules: Rule[] = []
  const seen = new Map<number, number>()
  const links = new Set<Link>()
  const server = createServer((client) => {
    const link = new Link(client, { host, port: Number(port) }, () => (server.address() as AddressInfo).port, judge)
    links.add(link)
    void link.ended.then(() => links.delete(link))
  })
  function judge(api: number): Rule | undefined {
    seen.set(api, (seen.get(api) ?? 0) + 1)
    return rules.find((rule) => rule.takes(api))
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    brokers: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    on(api, action, { times = 1, skip = 0, holdMs } = {}) {
      const rule = new Rule(api, action, times, skip, holdMs)
      rules.push(rule)
      return rule
    },
    cutAll() {
      for (const link of links) link.cut()
    },
    async close() {
      for (const rule of rules) rule.remove()
      for (const link of links) link.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

class Rule implements ProxyRule {
  readonly action: ProxyAction
  hits = 0
  readonly #api: number
  #times: number
  #skip: number
  readonly #holdMs: number | undefined
  readonly #held: (() => void)[] = []

  constructor(api: number, action: ProxyAction, times: number, skip: number, holdMs?: number) {
    this.#api = api
    this.action = action
    this.#times = times
    this.#skip = skip
    this.#holdMs = holdMs
  }

  takes(api: number): boolean {
    if (api !== this.#api || this.#times === 0) return false
    if (this.#skip-- > 0) return false
    this.#times--
    this.hits++
    return true
  }

  hold(send: () => void): void {
    this.#held.push(send)
    if (this.#holdMs !== undefined) setTimeout(() => this.release(), this.#holdMs).unref()
  }

  release(): void {
    this.remove()
    for (const send of this.#held.splice(0)) send()
  }

  remove(): void {
    this.#times = 0
  }
}

/** One connection of a client and its own connection to the broker. */
class Link {
  readonly #client: Socket
  readonly #broker: Socket
  readonly #expected = new Map<number, { api: number; rule: Rule | undefined }>()
  readonly #ports: () => [from: number, to: number]
  readonly #judge: (api: number) => Rule | undefined
  /** Requests that are held: the broker's side stays open for them. */
  #held = 0
  readonly ended: Promise<unknown>

  constructor(
    client: Socket,
    target: { host: string; port: number },
    ownPort: () => number,
    judge: (api: number) => Rule | undefined,
  ) {
    this.#client = client
    this.#broker = connect(target)
    this.#ports = () => [target.port, ownPort()]
    this.#judge = judge
    onFrames(client, (frame) => this.#request(frame))
    onFrames(this.#broker, (frame) => this.#answer(frame))
    client.on('error', () => undefined).on('close', () => this.#endWithClient())
    this.#broker.on('error', () => undefined).on('close', () => client.destroy())
    this.ended = new Promise((resolve) => this.#broker.on('close', resolve))
  }

  cut(): void {
    this.#client.destroy()
  }

  destroy(): void {
    this.#client.destroy()
    this.#broker.destroy()
  }

  #endWithClient(): void {
    if (this.#client.destroyed && this.#held === 0) this.#broker.end()
  }

  #request(frame: Buffer): void {
    const api = frame.readInt16BE(4)
    const rule = this.#judge(api)
    const send = () => void this.#broker.write(frame)
    if (rule?.action === 'lose-request') return
    if (rule?.action === 'cut-before') return this.cut()
    this.#expected.set(frame.readInt32BE(8), { api, rule })
    if (rule?.action !== 'hold') return send()
    this.#held++
    rule.hold(() => {
      this.#held--
      send()
      this.#endWithClient()
    })
  }

  #answer(frame: Buffer): void {
    const expected = this.#expected.get(frame.readInt32BE(4))
    this.#expected.delete(frame.readInt32BE(4))
    const action = expected?.rule?.action
    if (action === 'lose-answer') return
    if (action === 'cut-after') return this.cut()
    if (expected?.api === API.Metadata || expected?.api === API.FindCoordinator) redirect(frame, ...this.#ports())
    if (typeof action !== 'object') return void this.#client.write(frame)
    setTimeout(() => this.#client.write(frame), action.delayAnswerMs).unref()
  }
}

/** Kafka's messages have their length in front, in four bytes. */
function onFrames(socket: Socket, handle: (frame: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const frame = rest.subarray(0, 4 + rest.readInt32BE(0))
      rest = rest.subarray(frame.length)
      handle(frame)
    }
  })
}

/** The broker names itself in its answers, host then port: the port becomes the proxy's, so that the client stays behind it. */
function redirect(frame: Buffer, from: number, to: number): void {
  const address = Buffer.alloc(13)
  address.write('127.0.0.1')
  address.writeInt32BE(from, 9)
  for (let at = frame.indexOf(address); at >= 0; at = frame.indexOf(address, at + 1)) frame.writeInt32BE(to, at + 9)
}
