import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type Bundle, bundleAgent, ROOT } from './bundle.ts'

export interface DebOptions {
  readonly outDir: string
  /** Default: the version of package.json. */
  readonly version?: string
  /** `none` for who installs it at once; `xz` (default) is what every Debian reads, and takes a minute. */
  readonly compression?: 'xz' | 'none'
}

export interface Deb {
  readonly file: string
  readonly bytes: number
}

const DEBIAN = join(import.meta.dirname, 'debian')
/** Debian's name for the architecture of the Node that runs this, which goes into the package. */
const ARCHITECTURE: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }
const GZIP_BEST = 9

/**
 * Builds the Debian package: the bundle, Node 24, unit, configuration, maintainer scripts. Needs dpkg-deb and no rights: all
 * files in it belong to root.
 * @throws where dpkg-deb is missing, or the architecture is not one of those
 */
export async function buildDeb({ outDir, version, compression = 'xz' }: DebOptions): Promise<Deb> {
  const architecture = ARCHITECTURE[process.arch]
  if (process.platform !== 'linux' || !architecture)
    throw new Error(`a Debian package is built on Linux, x64 or arm64, not on ${process.platform} ${process.arch}`)
  const stage = mkdtempSync(join(tmpdir(), 'millrace-deb-'))
  try {
    const tree = join(stage, 'tree')
    const bundle = await bundleAgent({ outDir: join(stage, 'bundle'), ...(version ? { version } : {}) })
    layOut(tree, bundle)
    writeControl(tree, bundle.version, architecture)
    mkdirSync(outDir, { recursive: true })
    const file = join(outDir, `millrace-agent_${bundle.version}_${architecture}.deb`)
    pack(tree, file, compression)
    return { file, bytes: statSync(file).size }
  } finally {
    rmSync(stage, { recursive: true })
  }
}

/** The files as they will lie on the host, with the rights that they will have there. */
function layOut(tree: string, bundle: Bundle): void {
  cpSync(join(DEBIAN, 'root'), tree, { recursive: true })
  const lib = join(tree, 'usr/lib/millrace')
  const doc = join(tree, 'usr/share/doc/millrace-agent')
  for (const folder of [lib, join(doc, 'examples')]) mkdirSync(folder, { recursive: true })
  copyFileSync(join(ROOT, 'node_modules/node/bin/node'), join(lib, 'node'))
  copyFileSync(bundle.file, join(lib, basename(bundle.file)))
  copyFileSync(nativeCrc32(), join(lib, 'crc32.node'))
  writeFileSync(join(doc, 'THIRD_PARTY.txt.gz'), gzipSync(readFileSync(bundle.notices), { level: GZIP_BEST }))
  for (const name of ['minimal.yaml', 'reference.yaml'])
    copyFileSync(join(ROOT, 'examples/config', name), join(doc, 'examples', name))
  const programs = ['usr/bin/millrace', 'usr/lib/millrace/node']
  const secret = 'etc/millrace/millrace.env'
  for (const path of globSync('**', { cwd: tree })) {
    const open = statSync(join(tree, path)).isDirectory() || programs.includes(path)
    chmodSync(join(tree, path), path === secret ? 0o600 : open ? 0o755 : 0o644)
  }
}

/** The native CRC of this system; the bundle does without it where it is missing. */
export function nativeCrc32(): string {
  const [found] = globSync(`node_modules/@node-rs/crc32-linux-${process.arch}-gnu/*.node`, { cwd: ROOT })
  if (!found) throw new Error(`@node-rs/crc32-linux-${process.arch}-gnu is not installed: run npm ci`)
  return join(ROOT, found)
}

function writeControl(tree: string, version: string, architecture: string): void {
  const files = globSync('**', { cwd: tree }).filter((path) => statSync(join(tree, path)).isFile())
  const bytes = files.reduce((sum, path) => sum + statSync(join(tree, path)).size, 0)
  const folder = join(tree, 'DEBIAN')
  cpSync(join(DEBIAN, 'control'), folder, { recursive: true })
  for (const script of ['postinst', 'prerm', 'postrm']) chmodSync(join(folder, script), 0o755)
  writeFileSync(
    join(folder, 'md5sums'),
    files
      .sort()
      .map((path) => `${md5(join(tree, path))}  ${path}\n`)
      .join(''),
  )
  writeFileSync(
    join(folder, 'control'),
    `Package: millrace-agent
Version: ${version}
Architecture: ${architecture}
Maintainer: Millrace maintainers <maintainers@millrace.example>
Section: admin
Priority: optional
Installed-Size: ${Math.ceil(bytes / 1024)}
Depends: adduser, libc6 (>= 2.28), libgcc-s1 | libgcc1, libstdc++6 (>= 8)
Description: log lines to Kafka and Cloud Storage, exactly once
 Follows log files through every kind of rotation, publishes their lines to
 Kafka in transactions that carry the positions too, and uploads finished
 files to Cloud Storage. Brings its own Node.js.
`,
  )
}

function md5(file: string): string {
  return createHash('md5').update(readFileSync(file)).digest('hex')
}

function pack(tree: string, file: string, compression: 'xz' | 'none'): void {
  const args = ['--root-owner-group', `-Z${compression}`, '--build', tree, file]
  const env = { ...process.env, SOURCE_DATE_EPOCH: process.env['SOURCE_DATE_EPOCH'] ?? commitSeconds() }
  const { error, status, stderr } = spawnSync('dpkg-deb', args, { env, encoding: 'utf8' })
  if (error) throw new Error('dpkg-deb cannot be started: install the package dpkg', { cause: error })
  if (status !== 0) throw new Error(`dpkg-deb: ${stderr}`)
}

/** Seconds of the commit: the date of all files in the package, so that who builds it again gets the same bytes. */
function commitSeconds(): string {
  const { status, stdout } = spawnSync('git', ['log', '-1', '--format=%ct'], { cwd: ROOT, encoding: 'utf8' })
  return status === 0 ? stdout.trim() : '0'
}
