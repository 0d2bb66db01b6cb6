import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../../shared/errors.ts'
import { lastLines, run } from './command.ts'

/** The broker's jars in the user's cache. */
export interface Jars {
  dir: string
  classpath: string
}

const POM = join(import.meta.dirname, 'pom.xml')
const POM_TEXT = readFileSync(POM, 'utf8')
/** The version of Kafka that pom.xml pins. */
export const KAFKA_VERSION = versionOf(POM_TEXT)
/** What is in the cache is what this very pom.xml asks for. */
const FOLDER = `kafka-${KAFKA_VERSION}-${createHash('sha256').update(POM_TEXT).digest('hex').slice(0, 8)}`
const COPY = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies'

function versionOf(pom: string): string {
  const version = /<artifactId>kafka_2\.13<\/artifactId>\s*<version>([^<]+)</.exec(pom)?.[1]
  if (version === undefined) throw new Error(`${POM} names no version of kafka_2.13`)
  return version
}

/** The jars, from the cache; only when they are not there, from Maven, once. Or the reason why they cannot be had. */
export async function findJars(options: {
  env: NodeJS.ProcessEnv
  say: (line: string) => void
}): Promise<Jars | { reason: string }> {
  const cache = cacheDir(options.env)
  const dir = join(cache, FOLDER)
  if (!existsSync(dir)) {
    options.say(`Kafka ${KAFKA_VERSION}: fetching its jars with Maven (45 MB, once)`)
    const failed = await fetchJars(cache, dir)
    if (failed !== undefined) return { reason: failed }
  }
  return { dir, classpath: classpathOf(dir) }
}

/** Fetches into a folder of its own and renames it: `dir` is there whole, or not at all. */
async function fetchJars(cache: string, dir: string): Promise<string | undefined> {
  mkdirSync(cache, { recursive: true })
  const fresh = mkdtempSync(`${dir}.new-`)
  try {
    const args = ['-q', '-B', '-f', POM, COPY, '-DincludeScope=runtime', `-DoutputDirectory=${fresh}`]
    const { code, output } = await run(['mvn', ...args], { cwd: cache })
    if (code === -1) return 'Maven was not found'
    if (code !== 0) return `Maven could not fetch Kafka's jars:\n${lastLines(output, 8)}`
    // Somebody else may have been quicker: theirs is as good.
    if (!existsSync(dir)) renameSync(fresh, dir)
    return undefined
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
}

/** The class path of an unpacked Kafka. @throws UserError when it is not one, or not of version 4. */
export function homeJars(home: string): string {
  const libs = join(home, 'libs')
  const core = existsSync(libs) ? readdirSync(libs).find((name) => /^kafka_2\.\d+-4\./.test(name)) : undefined
  if (core === undefined) {
    throw new UserError(
      `KAFKA_HOME=${home} holds no Kafka 4 (no libs/kafka_2.13-4*.jar)`,
      'Set it to the folder of an unpacked Kafka 4, or unset it.',
    )
  }
  return classpathOf(libs)
}

/** Every jar by name, in a fixed order: a class archive is only used with the very same class path. */
function classpathOf(dir: string): string {
  return readdirSync(dir)
    .filter((name) => name.endsWith('.jar'))
    .sort()
    .map((name) => join(dir, name))
    .join(':')
}

/** Where the system wants caches of a user to be. */
function cacheDir(env: NodeJS.ProcessEnv): string {
  const base = process.platform === 'darwin' ? join(homedir(), 'Library', 'Caches') : join(homedir(), '.cache')
  return join(env['XDG_CACHE_HOME'] || base, 'millrace')
}
