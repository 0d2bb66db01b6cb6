import type { Config, Route } from '../shared/config/index.ts'
import { UserError } from '../shared/errors.ts'

/** @throws UserError that names the routes there are */
export function routeOf(config: Config, name: string): Route {
  const route = Object.hasOwn(config.routes, name) ? config.routes[name] : undefined
  if (route) return route
  throw new UserError(
    `${config.file}: there is no route ${name}`,
    `use one of: ${Object.keys(config.routes).join(', ')}`,
  )
}
