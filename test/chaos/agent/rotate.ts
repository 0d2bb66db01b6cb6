import {
  appendFileSync,
  copyFileSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'

/** A rotation in the ways of logrotate. */
export interface Rotation {
  readonly kind: 'rotate'
  readonly how: 'create' | 'copytruncate' | 'compress' | 'delaycompress' | 'copytruncate and compress'
  /** How long compressing takes: the compressed file is half written at half of it. */
  readonly stepMs: number
}

const GZ = '.gz'

/** Rotates a log that is not empty: `.1` is the newest rotated file. An agent may delete rotated files meanwhile. */
export async function rotate(path: string, { how, stepMs }: Rotation): Promise<void> {
  if (!existsSync(path) || statSync(path).size === 0) return
  makeRoom(path)
  if (how.startsWith('copytruncate')) {
    copyFileSync(path, `${path}.1`)
    truncateSync(path)
  } else renameSync(path, `${path}.1`)
  if (how.endsWith('compress')) await compress(`${path}.${how === 'delaycompress' ? 2 : 1}`, stepMs)
}

/** Shifts all numbers by one. There may be holes: uploaded files are deleted. */
function makeRoom(path: string): void {
  const isTaken = (n: number) => existsSync(`${path}.${n}`) || existsSync(`${path}.${n}${GZ}`)
  let free = 1
  while (isTaken(free)) free++
  for (let n = free - 1; n >= 1; n--) {
    for (const suffix of ['', GZ]) unlessGone(() => renameSync(`${path}.${n}${suffix}`, `${path}.${n + 1}${suffix}`))
  }
}

/** As gzip does it: the compressed file grows beside its original, which is removed at the end. */
async function compress(file: string, stepMs: number): Promise<void> {
  const bytes = unlessGone(() => gzipSync(readFileSync(file)))
  if (!bytes) return
  const half = Math.floor(bytes.length / 2)
  appendFileSync(`${file}${GZ}`, bytes.subarray(0, half))
  await delay(stepMs)
  appendFileSync(`${file}${GZ}`, bytes.subarray(half))
  rmSync(file, { force: true })
}

function unlessGone<T>(action: () => T): T | undefined {
  try {
    return action()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return undefined
  }
}
