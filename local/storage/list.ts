import { invalid } from './errors.ts'
import { type Answer, nameOf, type Request } from './exchange.ts'
import { globToRegExp } from './glob.ts'
import { compareNames } from './names.ts'
import { objectResource } from './resource.ts'
import { requireBucket, type Service } from './service.ts'

/** The most results of one page: https://cloud.google.com/storage/docs/json_api/v1/objects/list */
const RESULTS_MAX = 1_000

export interface ListQuery {
  prefix: string
  delimiter: string
  includeTrailingDelimiter: boolean
  /** First name that may appear; empty: from the start. */
  startOffset: string
  /** First name that may not; empty: to the end. */
  endOffset: string
  glob: RegExp | undefined
  maxResults: number
  /** The last name or prefix of the page before. */
  after: string | undefined
}

export interface ListPage {
  names: string[]
  prefixes: string[]
  /** Where the next page goes on; undefined at the end. */
  next: string | undefined
}

/** One page of `sorted`, the names of a bucket in order. */
export function listPage(sorted: readonly string[], query: ListQuery): ListPage {
  const { prefix, delimiter, endOffset, maxResults, after } = query
  const page: ListPage = { names: [], prefixes: [], next: undefined }
  const first = [prefix, query.startOffset, after ?? ''].reduce((a, b) => (compareNames(a, b) < 0 ? b : a))
  let last: string | undefined
  for (let i = lowerBound(sorted, first); i < sorted.length; i++) {
    const name = sorted[i] as string
    if (!name.startsWith(prefix) || (endOffset !== '' && compareNames(name, endOffset) >= 0)) break
    const folder = folderOf(name, prefix, delimiter)
    // A page that ended with a folder goes on behind everything in it.
    if (after !== undefined && (name === after || folder === after)) continue
    if (query.glob && !query.glob.test(name)) continue
    const isNewFolder = folder !== undefined && folder !== page.prefixes.at(-1)
    const isItem = folder === undefined || (query.includeTrailingDelimiter && name === folder)
    if (!isNewFolder && !isItem) continue
    if (page.names.length + page.prefixes.length >= maxResults) {
      page.next = last
      return page
    }
    if (isNewFolder) page.prefixes.push(folder)
    if (isItem) page.names.push(name)
    last = folder ?? name
  }
  return page
}

/** The name up to the first delimiter behind the prefix, or undefined. */
function folderOf(name: string, prefix: string, delimiter: string): string | undefined {
  if (delimiter === '') return undefined
  const at = name.indexOf(delimiter, prefix.length)
  return at < 0 ? undefined : name.slice(0, at + delimiter.length)
}

/** Index of the first name that is not before `first`. */
function lowerBound(sorted: readonly string[], first: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareNames(sorted[middle] as string, first) < 0) low = middle + 1
    else high = middle
  }
  return low
}

export async function listObjects(service: Service, request: Request): Promise<Answer> {
  const bucket = requireBucket(service, nameOf(request, 'bucket'))
  // Without versioning there are no noncurrent objects, so `versions=true` lists the same.
  const { names, prefixes, next } = listPage(bucket.sortedNames(), parseListQuery(request.query))
  const items = names
    .flatMap((name) => bucket.objects.get(name) ?? [])
    .map((one) => objectResource(one, service.endpoint))
  return {
    status: 200,
    json: {
      kind: 'storage#objects',
      ...(next === undefined ? {} : { nextPageToken: Buffer.from(next).toString('base64') }),
      ...(prefixes.length > 0 ? { prefixes } : {}),
      ...(items.length > 0 ? { items } : {}),
    },
  }
}

function parseListQuery(query: URLSearchParams): ListQuery {
  const text = (name: string) => query.get(name) ?? ''
  const token = query.get('pageToken')
  const glob = query.get('matchGlob')
  return {
    prefix: text('prefix'),
    delimiter: text('delimiter'),
    includeTrailingDelimiter: text('includeTrailingDelimiter') === 'true',
    startOffset: text('startOffset'),
    endOffset: text('endOffset'),
    glob: glob ? globToRegExp(glob) : undefined,
    maxResults: parseMaxResults(query.get('maxResults')),
    after: token ? Buffer.from(token, 'base64').toString('utf8') : undefined,
  }
}

function parseMaxResults(text: string | null): number {
  if (text === null) return RESULTS_MAX
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw invalid(`Invalid value for maxResults: ${text}`)
  return Math.min(value, RESULTS_MAX)
}
