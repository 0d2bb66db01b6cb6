import { readFileSync } from 'node:fs'
import { open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../../shared/errors.ts'

/**
 * Takes a folder for this process: two that write one journal would destroy it. The lock names the process and when it
 * was started, so that what a killed one left behind is seen to be dead even when its number is in use again.
 * Returns how to give it back. Throws UserError when a living process holds it.
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const file = join(folder, 'lock')
  if (!(await tryCreate(file))) {
    const holder = await readFile(file, 'utf8').catch(() => '')
    if (isAlive(holder)) {
      throw new UserError(
        `${folder} is in use by process ${holder.split(' ')[0]}.`,
        'Stop that process, or use another data folder.',
      )
    }
    // Moved away under an own name first: of two that find the same dead lock, one wins the creation below.
    await rename(file, `${file}.${process.pid}`).catch(() => undefined)
    await rm(`${file}.${process.pid}`, { force: true })
    if (!(await tryCreate(file))) throw new UserError(`${folder} is being opened by another process.`, 'Try again.')
  }
  return () => rm(file, { force: true })
}

async function tryCreate(file: string): Promise<boolean> {
  try {
    const handle = await open(file, 'wx')
    await handle.writeFile(`${process.pid} ${startOf(process.pid)}`)
    await handle.close()
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
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
