import { dirname } from 'node:path'
import type { Route } from '../config/index.ts'
import { loadSchema } from '../schema/index.ts'
import { compileRoute, type RowCodec } from './route.ts'

/** Reads a route's schema and compiles its codec. @throws UserError when either is broken */
export function openCodec(route: Route): RowCodec {
  return compileRoute(route, route.schema === undefined ? undefined : loadSchema(route.schema, dirname(route.schema)))
}
