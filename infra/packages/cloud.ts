import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import manifest from '../../package.json' with { type: 'json' }
import { ROOT } from './bundle.ts'

/** An entry of package-lock.json, as far as it is looked at. */
interface LockEntry {
  readonly dev?: boolean
}

interface Lock {
  readonly packages: Readonly<Record<string, LockEntry>>
}

/** Cloud Run's runtime for Node. */
const NODE = '24'
/** The young generation grows to 32 MB by itself, which the worker has no use for: docs/operations/worker-resources.md. */
const WORKER = 'node --max-semi-space-size=4 cli/main.js worker'

/**
 * Makes the folder that is deployed to the cloud: everything that ships as plain JavaScript, and a package.json and a
 * package-lock.json for it without what only development needs. `main` registers all functions; which of them an instance is,
 * FUNCTION_TARGET says. The worker is the command of the script `worker`: start that itself, since npm keeps signals to itself.
 * There is no build script in it, so that no builder runs one.
 * @throws when the sources do not compile
 */
export function stageCloud(outDir: string): void {
  rmSync(outDir, { recursive: true, force: true })
  compile(outDir)
  // Imported when `millrace local` is called, which is never; and the command's way to Node 24, which is there.
  for (const unused of ['local', 'cli/millrace.js']) rmSync(join(outDir, unused), { recursive: true })
  const { name, version, license, type, dependencies } = manifest
  const own = {
    name,
    version,
    private: true,
    license,
    type,
    engines: { node: NODE },
    scripts: { worker: WORKER },
    dependencies,
  }
  writeJson(join(outDir, 'package.json'), { ...own, main: 'functions/index.js' })
  writeJson(join(outDir, 'package-lock.json'), productionLock(own))
}

function compile(outDir: string): void {
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', outDir], {
    cwd: ROOT,
    stdio: 'inherit',
  })
  if (status !== 0) throw new Error('the sources do not compile')
}

function productionLock(own: object): object {
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as Lock
  const needed = Object.entries(lock.packages).filter(([path, { dev }]) => path !== '' && !dev)
  return { ...lock, packages: { '': own, ...Object.fromEntries(needed) } }
}

function writeJson(file: string, value: object): void {
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`)
}
