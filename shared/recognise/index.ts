export { countRows } from './read-values.ts'
export { recognise } from './recognise.ts'
export { addRoute, type NewRoute, routeNameOf, schemaPathOf } from './route-file.ts'
export { readSample } from './sample.ts'
