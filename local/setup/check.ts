import { execFile } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** `npm run check`: format, lint, types, dead code and the count of shipping lines, side by side; silent where all is well. */

const root = join(import.meta.dirname, '..', '..')
const bin = (name: string) => join(root, 'node_modules', '.bin', name)

/** What ships (agent, functions, shared, cli, without tests) is to stay small enough for one person to read. */
const SHIPPING = '{agent,functions,shared,cli}/**/*.{ts,js}'
const SHIPPING_LINES_WANTED = 10_000
/** A ratchet: lower it whenever lines go. It was raised twice, for what docs/decisions/open-ends.md names under Size. */
const SHIPPING_LINES_MAX = 15_720
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024

interface Finding {
  name: string
  failed: boolean
  output: string
}

const findings = await Promise.all([
  tool('format', 'biome', 'format', '--colors=off', '--reporter=summary'),
  tool('lint', 'oxlint', '--format=agent'),
  tool('types', 'tsc', '--pretty', 'false'),
  tool('dead code', 'knip', '--no-progress', '--no-config-hints'),
])
findings.push(shippingLines())
for (const { name, failed, output } of findings) {
  process.stdout.write(failed ? `${name}: FAILED\n${output.trim()}\n\n` : `${name}: ok${output}\n`)
}
process.exitCode = findings.some(({ failed }) => failed) ? 1 : 0

function tool(name: string, command: string, ...args: string[]): Promise<Finding> {
  const { promise, resolve } = Promise.withResolvers<Finding>()
  // The tools' own first lines say `env node`, which may be an older one.
  const env = { ...process.env, PATH: `${join(root, 'node_modules', '.bin')}:${process.env['PATH'] ?? ''}` }
  execFile(bin(command), args, { cwd: root, env, maxBuffer: OUTPUT_BYTES_MAX }, (error, stdout, stderr) => {
    const failed = error !== null
    resolve({ name, failed, output: failed ? `${stdout}${stderr}` || error.message : '' })
  })
  return promise
}

/** Lines of code: blank ones and comments are not counted, so that nobody saves at them. */
function shippingLines(): Finding {
  const files = globSync(SHIPPING, { cwd: root, exclude: ['**/*.test.ts', '**/node_modules/**'] })
  const lines = files.reduce((sum, file) => sum + codeLines(readFileSync(join(root, file), 'utf8')), 0)
  const failed = lines > SHIPPING_LINES_MAX
  const output = ` (${lines} in ${files.length} files; wanted: below ${SHIPPING_LINES_WANTED}, at most for now: ${SHIPPING_LINES_MAX})`
  return { name: 'shipping lines', failed, output }
}

function codeLines(text: string): number {
  const withoutBlocks = text.replaceAll(/^\s*\/\*[\s\S]*?\*\/[^\S\n]*\n/gm, '')
  return withoutBlocks.split('\n').filter((line) => !/^\s*(\/\/.*)?$/.test(line)).length
}
