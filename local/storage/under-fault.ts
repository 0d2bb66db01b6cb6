import type { Clock } from '../clock/index.ts'
import { type Fault, statusOf } from '../faults/index.ts'
import { ServiceError } from './errors.ts'
import { type Answer, type Request, readAll } from './exchange.ts'

/** What happens to the connection: an answer, its loss, or nothing at all. */
export type Outcome = Answer | 'drop' | 'silence'

/** The largest body that can hang and land later: it waits in memory. */
const HANGING_BYTES_MAX = 256 * 1024 * 1024

/** Answers a request by `handle`, with the fault, if there is one, where it belongs. */
export async function underFault(
  fault: Fault | undefined,
  request: Request,
  clock: Clock,
  handle: (request: Request) => Promise<Answer>,
): Promise<Outcome> {
  if (!fault) return handle(request)
  switch (fault.kind) {
    case 'error':
      if (fault.when === 'after') forget(await handle(request))
      return answerOf(fault)
    case 'delay':
      await clock.sleep(fault.ms)
      return handle(request)
    case 'drop':
      if (fault.when === 'after') forget(await handle(request))
      return 'drop'
    case 'hang':
      await hang(fault, request, clock, handle)
      return 'silence'
    case 'cut':
      return cut(fault, request, handle)
    default:
      throw new ServiceError(500, 'backendError', `The fault ${fault.kind} is nothing for Cloud Storage.`)
  }
}

function answerOf(fault: Extract<Fault, { kind: 'error' }>): Answer {
  const status = statusOf(fault)
  const reason = fault.reason ?? (status === 429 ? 'rateLimitExceeded' : status >= 500 ? 'backendError' : 'invalid')
  return { status, json: new ServiceError(status, reason, fault.message ?? `fault: ${fault.code}`).body() }
}

/** Takes the whole body, and has its effect later: the client has long given up. */
async function hang(
  { landAfterMs }: Extract<Fault, { kind: 'hang' }>,
  request: Request,
  clock: Clock,
  handle: (request: Request) => Promise<Answer>,
): Promise<void> {
  const bytes = await readAll(request.body, HANGING_BYTES_MAX)
  if (landAfterMs === undefined) return
  clock.after(landAfterMs, () => {
    void handle({ ...request, body: once(bytes), cancel: () => undefined }).then(forget)
  })
}

/** An answer that nobody gets: its stream holds an open file. */
function forget({ stream }: Answer): void {
  stream?.destroy()
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  if (bytes.length > 0) yield bytes
}

class CutOff extends Error {}

/** The method sees the body end early, as when a connection is lost, and keeps of it what it keeps then. */
async function cut(
  { afterBytes, then }: Extract<Fault, { kind: 'cut' }>,
  request: Request,
  handle: (request: Request) => Promise<Answer>,
): Promise<Outcome> {
  let isCut = false
  async function* firstBytes(): AsyncGenerator<Buffer> {
    let left = afterBytes
    for await (const bytes of request.body) {
      if (left > 0) yield bytes.subarray(0, left)
      left -= bytes.length
      if (left > 0) continue
      isCut = true
      throw Object.assign(new CutOff('fault: cut'), { code: 'ECONNRESET' })
    }
  }
  const answer = await handle({ ...request, body: firstBytes() })
  if (!isCut) return answer
  forget(answer)
  if (then === 'drop') return 'drop'
  return then === 'stall'
    ? 'silence'
    : { status: 503, json: new ServiceError(503, 'backendError', 'fault: cut').body() }
}
