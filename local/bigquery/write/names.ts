/** The parts of a stream's name; `stream` is `_default` for the table's own. */
export interface StreamPath {
  project: string
  dataset: string
  table: string
  stream: string
}

const TABLE = /^projects\/([^/]+)\/datasets\/([^/]+)\/tables\/([^/]+)$/
const STREAM = /^projects\/([^/]+)\/datasets\/([^/]+)\/tables\/([^/]+)\/(?:streams\/([^/]+)|(_default))$/

export function parseTablePath(name: string): Omit<StreamPath, 'stream'> | undefined {
  const match = TABLE.exec(name)
  if (!match) return undefined
  const [, project = '', dataset = '', table = ''] = match
  return { project, dataset, table }
}

export function parseStreamPath(name: string): StreamPath | undefined {
  const match = STREAM.exec(name)
  if (!match) return undefined
  const [, project = '', dataset = '', table = '', stream = '_default'] = match
  return { project, dataset, table, stream }
}

export function tablePath({ project, dataset, table }: Omit<StreamPath, 'stream'>): string {
  return `projects/${project}/datasets/${dataset}/tables/${table}`
}

export function streamPath(path: StreamPath): string {
  return `${tablePath(path)}/streams/${path.stream}`
}
