import { closeSync, openSync, readdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Config } from '../shared/config/index.ts'
import { UserError } from '../shared/errors.ts'
import { LogPattern } from './follow/index.ts'

const SPECIAL = /[*?[{]/

/**
 * What the configuration itself names must be of use: the folder of a log, up to its first wildcard, and a file without one. It may
 * be missing: it may come. What a wildcard finds beside is only told of, by who follows it.
 * @returns the logs that match nothing yet
 * @throws UserError that lists all that cannot be read
 */
export function checkPaths({ file, agent }: Config): string[] {
  const empty: string[] = []
  const problems = agent.logs.flatMap(({ path }, index) => {
    const at = `agent.logs[${index}].path ${path}`
    const problem = problemWith(path)
    if (problem) return [`${file}: ${at}: ${problem}`]
    if (new LogPattern(path).scan().files.length === 0) empty.push(at)
    return []
  })
  if (problems.length === 0) return empty
  const fix = `correct the path, or let the user that the agent runs as (${process.getuid?.() ?? 'this one'}) read it`
  throw new UserError(problems.join('\n'), fix)
}

function problemWith(path: string): string | undefined {
  try {
    new LogPattern(path)
    readdirSync(folderOf(path))
    if (SPECIAL.test(path)) return undefined
    const found = statSync(path)
    if (found.isDirectory()) return `it is a folder; for the files in it write ${path}/*`
    if (found.isFile()) closeSync(openSync(path, 'r'))
    return undefined
  } catch (error) {
    if (error instanceof SyntaxError) return `it is no pattern: ${error.message}`
    const { code, path: where = path } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    return code === 'ENOTDIR' ? `a part of it is a file, nothing can lie in it` : `${where} cannot be read: ${code}`
  }
}

/** As far as it is said without wildcards. */
function folderOf(path: string): string {
  const plain = path.split('/')
  const first = plain.findIndex((part) => SPECIAL.test(part))
  return (first < 0 ? dirname(path) : plain.slice(0, first).join('/')) || '/'
}
