import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { build, type Plugin } from 'esbuild'
import manifest from '../../package.json' with { type: 'json' }
import { thirdPartyNotices } from './third-party.ts'

export const ROOT = join(import.meta.dirname, '..', '..')

/** The bundle stays below this, in bytes. */
const BUNDLE_BYTES_MAX = 5_000_000

/** What stands in a line of it, about: without indentation and comments V8 keeps 2 MB less, and a stack still says where. */
const LINE_CHARACTERS = 160

/** What is not bundled as the sources have it, and what stands in its place: the bundle is one file for every system. */
const REPLACED: Readonly<Record<string, string>> = {
  '@node-rs/crc32': 'infra/packages/bundle/crc32c.ts',
  snappy: 'infra/packages/bundle/absent-codecs.ts',
  'lz4-napi': 'infra/packages/bundle/absent-codecs.ts',
  './ask-warehouse.ts': 'infra/packages/bundle/absent-warehouse.ts',
}

/** Packages put this beside the bundle. */
const BESIDE = ['node_modules/@node-rs/crc32/index.js']

/** CommonJS inside a module: kafkajs and others ask for `require` and their folder. */
const COMMON_JS = `import { createRequire as millraceRequire } from 'node:module'
import { dirname as millraceDirname } from 'node:path'
const require = millraceRequire(import.meta.url), __filename = import.meta.filename, __dirname = millraceDirname(__filename)`

export interface Bundle {
  readonly file: string
  readonly bytes: number
  /** The licences of what is in it. */
  readonly notices: string
  readonly version: string
}

export interface BundleOptions {
  readonly outDir: string
  /** Default: the version of package.json. */
  readonly version?: string
}

/**
 * Bundles the agent and the commands of its host into `millrace.mjs`, one file without dependencies for Node 24 and later, and
 * writes the licences of what is in it beside it. Names and statements stay as they are: a stack should be readable.
 * @throws when it grows beyond its limit
 */
export async function bundleAgent({ outDir, version = manifest.version }: BundleOptions): Promise<Bundle> {
  const file = join(outDir, 'millrace.mjs')
  const named = `${version} (commit ${commit()})`
  mkdirSync(outDir, { recursive: true })
  const { metafile } = await build({
    entryPoints: [join(ROOT, 'infra/packages/bundle/main.ts')],
    absWorkingDir: ROOT,
    outfile: file,
    bundle: true,
    minifyWhitespace: true,
    lineLimit: LINE_CHARACTERS,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    legalComments: 'none',
    banner: { js: `#!/usr/bin/env node\n// Millrace ${named}. Licences: THIRD_PARTY.txt.\n${COMMON_JS}` },
    define: { MILLRACE_VERSION: JSON.stringify(named) },
    plugins: [replacements, late],
    metafile: true,
    logLevel: 'warning',
    logOverride: { 'require-resolve-not-external': 'silent' },
  })
  // One character beyond Latin-1 makes V8 keep two bytes for each: the bundler writes those of strings as escapes.
  if (/\P{ASCII}/u.test(readFileSync(file, 'utf8')))
    throw new Error(`${file} is not ASCII: look for a regular expression`)
  const bytes = metafile.outputs[relative(ROOT, file)]?.bytes ?? Number.NaN
  if (!(bytes < BUNDLE_BYTES_MAX)) throw new Error(`${file} has ${bytes} bytes, more than ${BUNDLE_BYTES_MAX}`)
  const notices = join(outDir, 'THIRD_PARTY.txt')
  writeFileSync(notices, thirdPartyNotices(ROOT, [...Object.keys(metafile.inputs), ...BESIDE]))
  return { file, bytes, notices, version }
}

/** Built-in modules that take megabytes: in one file all imports come first, so these are asked for by who runs. */
const late: Plugin = {
  name: 'late',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(node:)?(http|https|sqlite)$/ }, ({ path, kind }) =>
      kind === 'import-statement' ? { path, namespace: 'late' } : undefined,
    )
    onLoad({ filter: /./, namespace: 'late' }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)})`,
    }))
  },
}

const replacements: Plugin = {
  name: 'replacements',
  setup({ onResolve }) {
    for (const [name, file] of Object.entries(REPLACED)) {
      onResolve({ filter: new RegExp(`^${RegExp.escape(name)}$`) }, () => ({ path: join(ROOT, file) }))
    }
  },
}

/** What the sources are, or `unknown` where they have no history. */
function commit(): string {
  const args = ['describe', '--always', '--dirty', '--abbrev=12', '--exclude=*']
  const { status, stdout } = spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' })
  return status === 0 ? stdout.trim() : (process.env['MILLRACE_COMMIT'] ?? 'unknown')
}
