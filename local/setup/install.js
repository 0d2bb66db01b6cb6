// Brings a clone to the state that package-lock.json describes. Plain JavaScript for Node 20 and later, without packages.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Installs by the lock file when something is missing or of another version; otherwise touches nothing, and no network.
 * @returns the path of the Node that the lock file pins.
 */
export async function ensureInstalled(root) {
  const node = join(root, 'node_modules', 'node', 'bin', 'node')
  const missing = whatIsMissing(root, node)
  if (missing === undefined) return node
  say(`Millrace: installing packages by package-lock.json (${missing})`)
  run(npm(), ['ci', '--no-audit', '--no-fund', '--loglevel=error'], root)
  const still = whatIsMissing(root, node)
  if (still !== undefined) throw new Error(`npm ci has run, but ${still}.\nfix: see that npm's ignore-scripts is off`)
  // Kafka's jars too, so that everything works without network from here on. Not everybody needs Kafka: no error.
  run([node], [join(root, 'local', 'kafka', 'install.ts')], root)
  return node
}

/** Why an installation is needed, or undefined. npm writes its own copy of the lock when it has done everything. */
export function whatIsMissing(root, node) {
  const installed = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(installed)) return 'node_modules is missing'
  const there = packagesOf(installed)
  for (const [path, wanted] of Object.entries(packagesOf(join(root, 'package-lock.json')))) {
    // Optional ones are those of other systems.
    if (path === '' || wanted.optional || wanted.devOptional) continue
    if (there[path]?.version !== wanted.version) return `${path.replace(/^node_modules\//, '')} has changed`
  }
  return existsSync(node) ? undefined : 'node_modules/node/bin/node is missing'
}

function packagesOf(file) {
  return JSON.parse(readFileSync(file, 'utf8')).packages
}

/** npm as it was called, else the one on the PATH. */
function npm() {
  const script = process.env.npm_execpath
  return script?.endsWith('.js') ? [process.execPath, script] : ['npm']
}

/** What it says goes to standard error: standard output belongs to the program. */
function run([file, ...first], args, cwd) {
  const { error, status, signal } = spawnSync(file, [...first, ...args], { cwd, stdio: ['ignore', 2, 2] })
  if (error) throw new Error(`${file} could not be started: ${error.message}`)
  if (status !== 0) throw new Error(`${[file, ...args].join(' ')} ended with ${status ?? signal}`)
}

function say(line) {
  process.stderr.write(`${line}\n`)
}
