import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

interface Run {
  readonly program: 'kafka' | 'agent'
  readonly forTime: string
  /** The name of a planted defect. */
  readonly mutant?: string
}

/** Runs a chaos program as `npm run chaos` does. What failed keeps its folder: it goes with this one. */
export function spawnChaos({ program, forTime, mutant = '' }: Run): {
  status: number | null
  lastLine: string
  output: string
} {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-chaos-test-'))
  const env = { ...process.env, CHAOS_MUTANT: mutant, TMPDIR: folder }
  const args = [join(import.meta.dirname, '..', `${program}.ts`), '--seed', '7', '--for', forTime]
  try {
    const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8', env })
    return { status, lastLine: stdout.trimEnd().split('\n').at(-1) ?? '', output: `${stdout}${stderr}` }
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  }
}
