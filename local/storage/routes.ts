import { deleteBucket, getBucket, insertBucket, listBuckets, updateBucket } from './buckets.ts'
import { composeObject, copyObject, rewriteObject } from './copy.ts'
import { notBuilt } from './errors.ts'
import type { Answer, Request } from './exchange.ts'
import { insertMedia, insertMultipart, unknownUploadType } from './insert.ts'
import { listObjects } from './list.ts'
import { readObject } from './media.ts'
import { deleteNotification, getNotification, insertNotification, listNotifications } from './notifications.ts'
import { deleteObject, getObject, refuseParameters, updateObject } from './objects.ts'
import type { Resumable } from './resumable.ts'
import type { Service } from './service.ts'

/** A request that has found its method of the API. */
export interface Routed {
  /** As in the API reference, for faults and the recorder: `objects.insert`. */
  method: string
  /** `bucket` or `bucket/object`. */
  resource: string
  names: Readonly<Record<string, string>>
  handle: (request: Request) => Promise<Answer>
}

type Handle = (request: Request) => Promise<Answer>
type Choose = (query: URLSearchParams) => [method: string, handle: Handle]

interface Route {
  methods: string
  path: RegExp
  choose: Choose
}

/** Every method that is built, by HTTP method and path. */
export function createRouter(service: Service, resumable: Resumable) {
  const to = (handle: (service: Service, request: Request) => Promise<Answer>) => (request: Request) =>
    handle(service, request)
  const always =
    (method: string, handle: Handle): Choose =>
    () => [method, handle]
  const upload: Choose = (query) => {
    const type = query.get('uploadType')
    if (type === 'resumable') return ['objects.insert.resumable', resumable.start]
    if (type === 'multipart') return ['objects.insert', to(insertMultipart)]
    if (type === 'media') return ['objects.insert', to(insertMedia)]
    throw unknownUploadType(type)
  }
  const get: Choose = (query) =>
    query.get('alt') === 'media' ? ['objects.get.media', to(readObject)] : ['objects.get', to(getObject)]

  const api = '^(?:/storage/v1)?/b'
  const bucket = '/(?<bucket>[^/]+)'
  const object = '/o/(?<object>[^/]+)'
  const route = (methods: string, path: string, choose: Choose): Route => ({
    methods,
    path: new RegExp(`${path}$`),
    choose,
  })
  const routes: Route[] = [
    route('POST', `^/(?:resumable/)?upload/storage/v1/b${bucket}/o`, upload),
    route('PUT', `^/(?:resumable/)?upload/storage/v1/b${bucket}/o`, always('objects.insert.part', resumable.put)),
    route(
      'DELETE',
      `^/(?:resumable/)?upload/storage/v1/b${bucket}/o`,
      always('objects.insert.cancel', resumable.cancel),
    ),
    route('GET', `^/download/storage/v1/b${bucket}${object}`, get),
    route('GET', `${api}${bucket}${object}`, get),
    route('PATCH PUT', `${api}${bucket}${object}`, always('objects.patch', to(updateObject))),
    route('DELETE', `${api}${bucket}${object}`, always('objects.delete', to(deleteObject))),
    route('GET', `${api}${bucket}/o`, always('objects.list', to(listObjects))),
    route('POST', `${api}${bucket}${object}/compose`, always('objects.compose', to(composeObject))),
    route(
      'POST',
      `${api}${bucket}${object}/rewriteTo/b/(?<toBucket>[^/]+)/o/(?<toObject>[^/]+)`,
      always('objects.rewrite', to(rewriteObject)),
    ),
    route(
      'POST',
      `${api}${bucket}${object}/copyTo/b/(?<toBucket>[^/]+)/o/(?<toObject>[^/]+)`,
      always('objects.copy', to(copyObject)),
    ),
    route('POST', api, always('buckets.insert', to(insertBucket))),
    route('GET', api, always('buckets.list', to(listBuckets))),
    route('GET', `${api}${bucket}`, always('buckets.get', to(getBucket))),
    route('PATCH PUT', `${api}${bucket}`, always('buckets.patch', to(updateBucket))),
    route('DELETE', `${api}${bucket}`, always('buckets.delete', to(deleteBucket))),
    route('POST', `${api}${bucket}/notificationConfigs`, always('notifications.insert', to(insertNotification))),
    route('GET', `${api}${bucket}/notificationConfigs`, always('notifications.list', to(listNotifications))),
    route('GET', `${api}${bucket}/notificationConfigs/(?<id>[^/]+)`, always('notifications.get', to(getNotification))),
    route(
      'DELETE',
      `${api}${bucket}/notificationConfigs/(?<id>[^/]+)`,
      always('notifications.delete', to(deleteNotification)),
    ),
  ]

  /** The method that answers a request. Throws 501 when it is not built. */
  return (httpMethod: string, url: URL): Routed => {
    for (const { methods, path, choose } of routes) {
      const match = methods.split(' ').includes(httpMethod) ? path.exec(url.pathname) : null
      if (!match) continue
      refuseParameters(url.searchParams)
      const names = decodeNames(match.groups ?? {})
      const [method, handle] = choose(url.searchParams)
      const objectName = names['object'] ?? url.searchParams.get('name')
      const resource = objectName === null ? (names['bucket'] ?? '') : `${names['bucket']}/${objectName}`
      return { method, resource, names, handle }
    }
    throw notBuilt(`${httpMethod} ${url.pathname}`)
  }
}

function decodeNames(groups: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(groups).map(([key, text]) => [key, decodeName(text)]))
}

function decodeName(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
