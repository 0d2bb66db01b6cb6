import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { z } from 'zod'
import { messageOf, UserError } from '../../shared/errors.ts'
import type { Clock } from '../clock/index.ts'
import { planSchema } from './fault.ts'
import type { Faults } from './faults.ts'
import type { Recorder } from './recorder.ts'

/** A plan of 10,000 rules is below 4 MiB. */
const BODY_BYTES_MAX = 4 * 1024 * 1024

const advanceSchema = z.strictObject({ advanceMs: z.number().min(0) })

export interface FaultsServerOptions {
  faults: Faults
  clock: Clock
  recorder: Recorder
  /** 0 or absent: any free port. */
  port?: number
}

export interface FaultsServer {
  /** `http://127.0.0.1:port` */
  endpoint: string
  stop(): Promise<void>
}

type Answer = (body: string) => unknown

/**
 * The door through which tests break the embedded cloud:
 *
 *     GET /plan                 the rules, with how often each was seen and struck
 *     POST /plan [rules]        replaces the plan, counters at zero; POST /plan?add=true [rules] adds to it
 *     DELETE /plan              nothing fails any more
 *     GET /clock                {"nowMs"};  POST /clock {"advanceMs"} moves the time forward
 *     GET /calls                {"calls", "tallies"};  DELETE /calls forgets them
 *
 * 127.0.0.1 only. Throws UserError when the port is taken.
 */
export async function startFaultsServer(options: FaultsServerOptions): Promise<FaultsServer> {
  const answers = routes(options)
  const server = createServer((request, response) => void serve(answers, request, response))
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(new UserError(`faults: port ${options.port}: ${messageOf(error)}`, 'Choose another port.')),
    )
    server.listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('faults: no port')
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function routes({ faults, clock, recorder }: FaultsServerOptions): Readonly<Record<string, Answer>> {
  const plan = () => ({ rules: faults.plan() })
  const time = () => ({ nowMs: clock.now() })
  const setPlan = (body: string) => {
    faults.replace(planSchema.parse(JSON.parse(body)))
    return plan()
  }
  return {
    'GET /plan': plan,
    'POST /plan': setPlan,
    'POST /plan?add=true': (body) => {
      faults.add(...planSchema.parse(JSON.parse(body)))
      return plan()
    },
    'DELETE /plan': () => {
      faults.clear()
      return plan()
    },
    'GET /clock': time,
    'POST /clock': (body) => {
      clock.advance(advanceSchema.parse(JSON.parse(body)).advanceMs)
      return time()
    },
    'GET /calls': () => ({ calls: recorder.calls(), tallies: recorder.tallies() }),
    'DELETE /calls': () => {
      recorder.clear()
      return {}
    },
  }
}

async function serve(answers: Readonly<Record<string, Answer>>, request: IncomingMessage, response: ServerResponse) {
  const answer = answers[`${request.method} ${request.url}`]
  if (!answer) {
    const known = Object.keys(answers).join(', ')
    return send(response, 404, { error: `${request.method} ${request.url} is not known here; known: ${known}` })
  }
  try {
    send(response, 200, answer(await readBody(request)))
  } catch (error) {
    send(response, 400, { error: error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error) })
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length
    if (bytes > BODY_BYTES_MAX) throw new RangeError(`the body is larger than ${BODY_BYTES_MAX} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
