/** What `npm test -- ARGUMENT...` asks for. */
export interface TestArguments {
  /** Only the tests that take long: `*.long.test.ts`. */
  long: boolean
  /** Files or folders; none: everything. */
  paths: string[]
  /** For node --test itself: `--test-name-pattern=...`. */
  flags: string[]
}

export function parseTestArguments(args: readonly string[]): TestArguments {
  const flags = args.filter((arg) => arg.startsWith('-') && arg !== '--long')
  const paths = args.filter((arg) => !arg.startsWith('-'))
  return { long: args.includes('--long'), paths, flags }
}

/**
 * The test files to run. A file that is named is run as it is; a folder gives its tests of the asked kind.
 * @param all every test file, relative to the repository
 */
export function selectTests(all: readonly string[], { long, paths }: TestArguments): string[] {
  const ofKind = all.filter((file) => isLong(file) === long)
  if (paths.length === 0) return ofKind
  const wanted = paths.map((path) => path.replace(/^\.\//, '').replace(/\/+$/, ''))
  const below = (file: string) => wanted.some((path) => file.startsWith(`${path}/`))
  return all.filter((file) => wanted.includes(file) || (isLong(file) === long && below(file)))
}

function isLong(file: string): boolean {
  return file.endsWith('.long.test.ts')
}
