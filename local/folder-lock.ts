import { readFileSync } from 'node:fs'
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../shared/errors.ts'

/**
 * Takes a folder for this process: two that write one journal would destroy it. The lock names the process and when it
 * was started, so that what a killed one left behind is seen to be dead even when its number is in use again.
 * Returns how to give it back. Throws UserError when a living process holds it; `inUse` words that.
 */
export async function lockFolder(folder: string, inUse = `${folder} is in use`): Promise<() => Promise<void>> {
  const file = join(folder, 'lock')
  const own = `${file}.${process.pid}`
  if (!(await tryCreate(file, own))) {
    const holder = await readFile(file, 'utf8').catch(() => '')
    if (isAlive(holder)) {
      throw new UserError(
        `${inUse} by process ${holder.split(' ')[0]}.`,
        'Stop that process, or use another data folder.',
      )
    }
    if (!(await takeAway(file, own, holder)) || !(await tryCreate(file, own))) {
      throw new UserError(`${folder} is being opened by another process.`, 'Try again.')
    }
  }
  return () => rm(file, { force: true })
}

/** Makes the lock, whole from its first instant. False when there is one. */
async function tryCreate(file: string, own: string): Promise<boolean> {
  try {
    await writeFile(own, `${process.pid} ${startOf(process.pid)}`)
    await link(own, file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    await rm(own, { force: true })
  }
}

/** Removes a dead process's lock. False when it was not that: somebody who found it dead too was faster. */
async function takeAway(file: string, own: string, dead: string): Promise<boolean> {
  await rename(file, own).catch(() => undefined)
  const found = await readFile(own, 'utf8').catch(() => dead)
  if (found !== dead) await link(own, file).catch(() => undefined)
  await rm(own, { force: true })
  return found === dead
}

function isAlive(holder: string): boolean {
  const [pidText = '', start = ''] = holder.split(' ')
  const pid = Number(pidText)
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  return startOf(pid) === start
}

/** When a process was started, in the kernel's ticks; empty where /proc is not there (macOS), and then not compared. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}
