import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** They end in order when the process that started them is gone; what takes longer is killed. */
const END_WITHIN_MS = 10_000
const LOOK_MS = 50

/**
 * Waits for the end of what an earlier run left behind when it was killed: they hold its ports and its data.
 * @param folder with a file `<name>.pid` for each
 * @param mark a part of their command lines, because the system may have given their numbers to others
 */
export async function endLeftovers(folder: string, mark: string, say: (text: string) => void): Promise<void> {
  const files = readdirSync(folder).filter((file) => file.endsWith('.pid'))
  const pids = files.map((file) => Number(readFileSync(join(folder, file), 'utf8')))
  const alive = () => pids.filter((pid) => pid > 0 && commandOf(pid).includes(mark))
  const first = alive()
  if (first.length > 0) say('waiting for the processes of an earlier run to end')
  for (const pid of first) send(pid, 'SIGTERM')
  const deadline = Date.now() + END_WITHIN_MS
  while (alive().length > 0) {
    if (Date.now() > deadline) for (const pid of alive()) send(pid, 'SIGKILL')
    await delay(LOOK_MS)
  }
  for (const file of files) rmSync(join(folder, file), { force: true })
}

function send(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has just ended.
  }
}

/** Empty when there is no such process, and for one that has ended and waits for its parent. */
function commandOf(pid: number): string {
  try {
    if (existsSync('/proc/self')) return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' })
  } catch {
    return ''
  }
}
