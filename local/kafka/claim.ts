import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { UserError } from '../../shared/errors.ts'

/** Who runs a broker on a data folder: kept in a file, so that the next start can tell a live owner from a leftover. */
interface Claim {
  owner: Identity
  broker: Identity
}

/** A process for certain: the system gives its number to another one after its end, but not with the same start. */
interface Identity {
  pid: number
  /** When and as what it was started. */
  started: string
}

const ENDS_WITHIN_MS = 5000
const KILLED_WITHIN_MS = 15_000
const POLL_MS = 20

/** Notes that this process runs the broker `pid`. */
export function claim(file: string, pid: number): void {
  mkdirSync(dirname(file), { recursive: true })
  const note: Claim = { owner: identify(process.pid), broker: identify(pid) }
  writeFileSync(file, JSON.stringify(note))
}

/**
 * Ends the broker that an owner left behind.
 * @throws UserError when the owner is alive: two brokers on one folder would destroy it.
 */
export async function clearClaim(file: string): Promise<void> {
  const note = readClaim(file)
  if (note === undefined) return
  if (isAlive(note.owner) && isAlive(note.broker)) {
    throw new UserError(
      `process ${note.owner.pid} runs Kafka on this data folder already (${file})`,
      'End that process first, or use another data folder.',
    )
  }
  await endForCertain(note.broker)
  rmSync(file, { force: true })
}

function readClaim(file: string): Claim | undefined {
  if (!existsSync(file)) return undefined
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Claim
  } catch {
    return undefined // torn by a crash; the broker's own lock on its data still holds
  }
}

/** In order if it can: a broker that was killed is refused by its own controller for a while. */
async function endForCertain(broker: Identity): Promise<void> {
  const start = Date.now()
  while (isAlive(broker)) {
    const elapsed = Date.now() - start
    if (elapsed > KILLED_WITHIN_MS) throw new Error(`the broker ${broker.pid} of an earlier run cannot be killed`)
    process.kill(broker.pid, elapsed > ENDS_WITHIN_MS ? 'SIGKILL' : 'SIGTERM')
    await delay(POLL_MS)
  }
}

function isAlive(process: Identity): boolean {
  return process.started !== '' && identify(process.pid).started === process.started
}

function identify(pid: number): Identity {
  return { pid, started: existsSync('/proc/self/stat') ? startOnLinux(pid) : startByPs(pid) }
}

/**
 * Start time since boot (field 22, counted after the name, which may hold blanks); '' when it is gone. Not the command: the
 * broker is noted right after its fork, when it may still be the shell that becomes java.
 */
function startOnLinux(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? '' : (fields[19] ?? '')
  } catch {
    return ''
  }
}

function startByPs(pid: number): string {
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim()
  } catch {
    return ''
  }
}
