import { mkdirSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { RotatingLog } from './rotating-log.ts'

/**
 * The sample API server: takes visits and payments as JSON lines and clicks as length-delimited protobuf, many in one
 * request as mobile clients send them, and logs what it was sent, each kind to a file of its own that it rotates itself.
 *
 *     node examples/shop/server.ts --logs DIR [--port N]
 */
const MiB = 1024 * 1024
/** 40 files of 4 MiB, three logs: below half a gigabyte. */
const KAFKA_ROTATION = { bytesMax: 4 * MiB, ageMaxMs: 60_000, filesMax: 40 }
/** What travels by chunks is readable only when its file is finished: small files. */
const CHUNK_ROTATION = { ...KAFKA_ROTATION, ageMaxMs: 5_000 }
const BODY_BYTES_MAX = 4 * MiB
const SAVE_TALLY_EVERY_MS = 500

export interface Shop {
  readonly port: number
  /** Rotates the logs, so that their last files can finish, and ends. */
  close(): Promise<void>
}

export async function startShop(options: { logs: string; port?: number }): Promise<Shop> {
  mkdirSync(options.logs, { recursive: true })
  const logs = new Map([
    ['/visits', new RotatingLog(join(options.logs, 'visits.log'), KAFKA_ROTATION, countLines)],
    ['/clicks', new RotatingLog(join(options.logs, 'clicks.log'), KAFKA_ROTATION, countDelimited)],
    ['/payments', new RotatingLog(join(options.logs, 'payments.log'), CHUNK_ROTATION, countLines)],
  ])
  const server = createServer((request, response) => {
    answer(request, response, logs).catch((error: unknown) => response.writeHead(400).end(String(error)))
  })
  await new Promise<void>((resolve, reject) =>
    server.once('error', reject).listen(options.port ?? 0, '127.0.0.1', resolve),
  )
  const saving = setInterval(() => logs.forEach((log) => log.tally.save()), SAVE_TALLY_EVERY_MS)
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      clearInterval(saving)
      server.closeIdleConnections()
      await new Promise((resolve) => server.close(resolve))
      for (const log of logs.values()) log.close()
    },
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  logs: ReadonlyMap<string, RotatingLog>,
): Promise<void> {
  if (request.method === 'GET' && request.url === '/tally') {
    const tallies = [...logs].map(([path, log]) => [path.slice(1), log.tally.events])
    response.setHeader('content-type', 'application/json').end(JSON.stringify(Object.fromEntries(tallies)))
    return
  }
  const log = request.method === 'POST' ? logs.get(request.url ?? '') : undefined
  if (!log) {
    response.writeHead(404).end()
    return
  }
  const body = await read(request)
  const count = request.url === '/clicks' ? countDelimitedIn(body) : countLinesIn(body)
  log.append(body, count)
  response.end(String(count))
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length
    if (bytes > BODY_BYTES_MAX) throw new Error(`body over ${BODY_BYTES_MAX} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts)
}

function countLines(path: string, offset: number): number {
  return countLinesIn(readFileSync(path).subarray(offset))
}

function countDelimited(path: string, offset: number): number {
  return countDelimitedIn(readFileSync(path).subarray(offset))
}

/** Written apart from the product's own framing, on purpose: this is what the product is checked against. */
function countLinesIn(bytes: Buffer): number {
  return bytes
    .toString('latin1')
    .split('\n')
    .filter((line) => line.trim() !== '').length
}

function countDelimitedIn(bytes: Buffer): number {
  let count = 0
  for (let at = 0; at < bytes.length; count++) {
    let length = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] ?? 0
      length |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    at += length
  }
  return count
}

function option(name: string): string | undefined {
  const at = process.argv.indexOf(`--${name}`)
  return at < 0 ? undefined : process.argv[at + 1]
}

if (process.argv[1] === import.meta.filename) {
  const shop = await startShop({ logs: option('logs') ?? 'logs', port: Number(option('port') ?? 0) })
  process.stdout.write(`${JSON.stringify({ port: shop.port })}\n`)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void shop.close())
}
