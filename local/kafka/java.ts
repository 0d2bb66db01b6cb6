import { createHash } from 'node:crypto'
import { realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '../../shared/errors.ts'
import { run } from './command.ts'

/** A Java that can run the broker. */
export interface Java {
  path: string
  /** Major version: 17. */
  version: number
  /** Changes when another Java is installed there; class archives belong to one. */
  identity: string
}

const JAVA_VERSION_MIN = 17

/** Java from JAVA_HOME, or from the PATH; or the reason why there is none. */
export async function findJava(env: NodeJS.ProcessEnv): Promise<Java | { reason: string }> {
  const home = env['JAVA_HOME']
  const command = home === undefined || home === '' ? 'java' : join(home, 'bin', 'java')
  const outcome = await run([command, '-XshowSettings:properties', '-version'])
  if (outcome.code !== 0) return { reason: 'no Java was found' }
  const version = Number(/java\.specification\.version = (\d+)/.exec(outcome.output)?.[1] ?? 0)
  const javaHome = /java\.home = (.+)/.exec(outcome.output)?.[1]
  if (javaHome === undefined || version < JAVA_VERSION_MIN) {
    return { reason: `Java ${JAVA_VERSION_MIN} or later is needed, and ${command} is older` }
  }
  const path = join(javaHome.trim(), 'bin', 'java')
  return identify(path, version)
}

function identify(path: string, version: number): Java | { reason: string } {
  try {
    const file = realpathSync(path)
    const { size, mtimeMs } = statSync(file)
    const identity = createHash('sha256').update(`${file} ${size} ${mtimeMs}`).digest('hex').slice(0, 16)
    return { path, version, identity }
  } catch (error) {
    return { reason: `Java cannot be used: ${messageOf(error)}` }
  }
}
