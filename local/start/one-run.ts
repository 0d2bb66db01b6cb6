import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '../../shared/errors.ts'

/** One run for a data folder at a time: a second one would use the same logs and the same topics. @throws UserError */
export function claimFolder(run: string): () => void {
  const note = join(run, 'start.pid')
  const pid = existsSync(note) ? Number(readFileSync(note, 'utf8')) : 0
  if (pid > 0 && pid !== process.pid && isAlive(pid)) {
    throw new UserError(
      `npm start runs here already (process ${pid})`,
      'stop it with Ctrl-C, or use another folder with --data DIR',
    )
  }
  writeFileSync(note, String(process.pid))
  return () => rmSync(note, { force: true })
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
