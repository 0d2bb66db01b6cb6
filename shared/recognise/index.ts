export { countRows } from './read-values.ts'
export { type Recognised, recognise } from './recognise.ts'
export { addRoute, type NewRoute, routeNameOf, schemaPathOf } from './route-file.ts'
export { readSample } from './sample.ts'
