import type { Config, Route } from '../shared/config/index.ts'
import { UserError } from '../shared/errors.ts'

/** @throws UserError that names the routes there are */
export function routeOf({ file, routes }: Config, name: string): Route {
  const route = Object.hasOwn(routes, name) ? routes[name] : undefined
  if (route) return route
  throw new UserError(`${file}: there is no route ${name}`, `use one of: ${Object.keys(routes).join(', ')}`)
}
