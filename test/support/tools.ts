import type { TestContext } from 'node:test'

/**
 * Skips a test for want of a tool, on a developer's machine. In CI a tool that the package manager could have installed
 * is no excuse: there the test fails.
 * @param tool what is wanted, for people: `Chromium`
 * @param found whether it is there
 * @param install how to get it: `apt-get install chromium`; absent: it cannot be installed (a daemon that must run)
 * @returns whether the test may go on
 */
export function needsTool(t: TestContext, tool: string, found: boolean, install?: string): boolean {
  if (found) return true
  const message = install === undefined ? `${tool} is not here` : `${tool} is not installed (${install})`
  if (install !== undefined && process.env['CI'] === 'true') throw new Error(`${message}, and in CI it must be`)
  t.skip(message)
  return false
}
