import type { Config } from '../shared/config/index.ts'
import { UserError } from '../shared/errors.ts'
import { LogPattern } from './follow/index.ts'
import type { Life } from './life.ts'

/**
 * What no running agent can change without holding another lock, or publishing again what it has published: its positions
 * belong to its id and to a topic, the names of its sources to their route.
 * @throws UserError
 */
export function checkReload({ config: before, follower }: Pick<Life, 'config' | 'follower'>, after: Config): void {
  for (const key of ['id', 'lock_file'] as const) {
    if (after.agent[key] !== before.agent[key])
      throw new UserError(`${after.file}: agent.${key} has become ${after.agent[key]}`, 'restart the agent for that')
  }
  for (const { route } of before.agent.logs) {
    const [from, to] = [before, after].map(({ routes }) => routes[route]?.topic ?? 'none')
    if (after.agent.logs.some((log) => log.route === route) && from !== to)
      throw changed(`${after.file}: routes.${route}.topic has become ${to}`)
  }
  const routes = new Map<string, string>()
  for (const { path, route } of after.agent.logs)
    for (const { path: file } of new LogPattern(path).scan().files) if (!routes.has(file)) routes.set(file, route)
  for (const { file, log } of follower.sources.values()) {
    const route = routes.get(file.seen.path) ?? log.route
    if (route !== log.route)
      throw changed(`${after.file}: agent.logs gives ${file.seen.path} to route ${route}, it was ${log.route}'s`)
  }
}

function changed(what: string): UserError {
  return new UserError(what, 'restart the agent for that: it reads the files that are there again from their start')
}
