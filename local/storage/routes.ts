import {
  deleteBucket,
  getBucket,
  getStorageLayout,
  insertBucket,
  listBuckets,
  listManagedFolders,
  updateBucket,
} from './buckets.ts'
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

/** What answers a request, apart from where its parts are. */
type Method = (service: Service, request: Request, resumable: Resumable) => Promise<Answer>
type Chosen = [method: string, answer: Method]

interface Route {
  methods: string
  path: RegExp
  choose: (query: URLSearchParams) => Chosen
}

const UPLOAD = '^/(?:resumable/)?upload/storage/v1/b/(?<bucket>[^/]+)/o$'
/** The client leaves `/storage/v1` out when STORAGE_EMULATOR_HOST names the server. */
const BUCKETS = '^(?:/storage/v1)?/b'
const BUCKET = `${BUCKETS}/(?<bucket>[^/]+)`
const OBJECT = `${BUCKET}/o/(?<object>[^/]+)`
const TO = 'b/(?<toBucket>[^/]+)/o/(?<toObject>[^/]+)'

const route = (methods: string, path: string, choose: Route['choose']): Route => ({
  methods,
  path: new RegExp(path),
  choose,
})
const on = (methods: string, path: string, ...chosen: Chosen): Route => route(methods, path, () => chosen)

function chooseGet(query: URLSearchParams): Chosen {
  return query.get('alt') === 'media' ? ['objects.get.media', readObject] : ['objects.get', getObject]
}

function chooseUpload(query: URLSearchParams): Chosen {
  const type = query.get('uploadType')
  if (type === 'resumable') return ['objects.insert.resumable', (_, request, resumable) => resumable.start(request)]
  if (type === 'multipart') return ['objects.insert', insertMultipart]
  if (type === 'media') return ['objects.insert', insertMedia]
  throw unknownUploadType(type)
}

/** Every method that is built, by HTTP method and path. */
const ROUTES: readonly Route[] = [
  route('POST', UPLOAD, chooseUpload),
  on('PUT', UPLOAD, 'objects.insert.part', (_, request, resumable) => resumable.put(request)),
  on('DELETE', UPLOAD, 'objects.insert.cancel', (_, request, resumable) => resumable.cancel(request)),
  route('GET', '^/download/storage/v1/b/(?<bucket>[^/]+)/o/(?<object>[^/]+)$', chooseGet),
  route('GET', `${OBJECT}$`, chooseGet),
  on('PATCH PUT', `${OBJECT}$`, 'objects.patch', updateObject),
  on('DELETE', `${OBJECT}$`, 'objects.delete', deleteObject),
  on('GET', `${BUCKET}/o$`, 'objects.list', listObjects),
  on('POST', `${OBJECT}/compose$`, 'objects.compose', composeObject),
  on('POST', `${OBJECT}/rewriteTo/${TO}$`, 'objects.rewrite', rewriteObject),
  on('POST', `${OBJECT}/copyTo/${TO}$`, 'objects.copy', copyObject),
  on('POST', `${BUCKETS}$`, 'buckets.insert', insertBucket),
  on('GET', `${BUCKETS}$`, 'buckets.list', listBuckets),
  on('GET', `${BUCKET}$`, 'buckets.get', getBucket),
  on('GET', `${BUCKET}/storageLayout$`, 'buckets.getStorageLayout', getStorageLayout),
  on('GET', `${BUCKET}/managedFolders$`, 'managedFolders.list', listManagedFolders),
  on('PATCH PUT', `${BUCKET}$`, 'buckets.patch', updateBucket),
  on('DELETE', `${BUCKET}$`, 'buckets.delete', deleteBucket),
  on('POST', `${BUCKET}/notificationConfigs$`, 'notifications.insert', insertNotification),
  on('GET', `${BUCKET}/notificationConfigs$`, 'notifications.list', listNotifications),
  on('GET', `${BUCKET}/notificationConfigs/(?<id>[^/]+)$`, 'notifications.get', getNotification),
  on('DELETE', `${BUCKET}/notificationConfigs/(?<id>[^/]+)$`, 'notifications.delete', deleteNotification),
]

/** Finds the method that answers a request; it throws 501 when that is not built. */
export function createRouter(service: Service, resumable: Resumable): (httpMethod: string, url: URL) => Routed {
  return (httpMethod, url) => {
    for (const { methods, path, choose } of ROUTES) {
      const match = methods.split(' ').includes(httpMethod) ? path.exec(url.pathname) : null
      if (!match) continue
      refuseParameters(url.searchParams)
      const names = decodeNames(match.groups ?? {})
      const [method, answer] = choose(url.searchParams)
      const objectName = names['object'] ?? url.searchParams.get('name')
      const resource = objectName === null ? (names['bucket'] ?? '') : `${names['bucket']}/${objectName}`
      return { method, resource, names, handle: (request) => answer(service, request, resumable) }
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
