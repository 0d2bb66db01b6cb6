// Completes package-lock.json:  node local/setup/complete-lock.js
// npm leaves out optional packages (the binaries of other systems) that the registry in use could not give, and then
// `npm ci` refuses the file everywhere. Their versions are pinned by the packages that want them, so they are known.
import { readFileSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

const SYSTEMS = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32']
const CPUS = ['arm', 'arm64', 'ia32', 'ppc64', 'riscv64', 's390x', 'x64']

/** Optional packages that the lock file's packages want and that it does not list, as entries for it. */
export function missingEntries(packages) {
  const missing = {}
  for (const [path, wanting] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(wanting.optionalDependencies ?? {})) {
      if (isListed(packages, path, name)) continue
      missing[`node_modules/${name}`] = entryOf(name, version, wanting.dev === true)
    }
  }
  return missing
}

/** Packages are looked up as node does it: beside the one that wants them, and in each folder above. */
function isListed(packages, path, name) {
  for (let at = path; ; at = at.slice(0, Math.max(at.lastIndexOf('/node_modules/'), 0))) {
    if (packages[at === '' ? `node_modules/${name}` : `${at}/node_modules/${name}`]) return true
    if (at === '') return false
  }
}

/** Such packages say in their names for which system they are: `@x/y-linux-arm64-musl`. The keys are in npm's order. */
function entryOf(name, version, dev) {
  const words = name.split(/[-/]/)
  const os = words.filter((word) => SYSTEMS.includes(word))
  const cpu = words.filter((word) => CPUS.includes(word))
  const libc = words.includes('musl') ? ['musl'] : words.includes('gnu') ? ['glibc'] : undefined
  if (os.length === 0 || cpu.length === 0) throw new Error(`the name ${name} does not say for which system it is`)
  return { version, cpu, ...(dev && { dev }), ...(libc && { libc }), optional: true, os }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'))
  const missing = missingEntries(lock.packages)
  const sorted = Object.entries({ ...lock.packages, ...missing }).sort(([a], [b]) => a.localeCompare(b, 'en'))
  writeFileSync('package-lock.json', `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`)
  process.stdout.write(`${Object.keys(missing).length} entries added\n`)
}
