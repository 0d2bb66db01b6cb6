import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

interface Manifest {
  readonly name: string
  readonly version: string
  readonly license?: string
}

const RULE = '-'.repeat(80)

/**
 * The licences of the packages that these files belong to, by name, as their texts ask for.
 * @param files paths below `root`, as the bundler names what it has read
 * @throws when a package does not say its licence
 */
export function thirdPartyNotices(root: string, files: readonly string[]): string {
  const folders = [...new Set(files.flatMap((file) => packageFolder(file) ?? []))]
  const notices = folders.map((folder) => noticeOf(join(root, folder))).sort()
  return `This program contains the following packages, in the versions named, under the licences given.\n\n${[...new Set(notices)].join('')}`
}

/** `node_modules/@a/b/node_modules/c/lib/d.js` is of the package in `node_modules/@a/b/node_modules/c`. */
function packageFolder(file: string): string | undefined {
  return /^(.*\bnode_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1]
}

function noticeOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest
  if (!license) throw new Error(`${name} ${version} does not say its licence (${folder}/package.json)`)
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file))
  const texts = files.sort().map((file) => readFileSync(join(folder, file), 'utf8').trim())
  return `${RULE}\n${name} ${version}: ${license}\n\n${texts.join('\n\n') || '(The package has no text of it.)'}\n\n`
}
