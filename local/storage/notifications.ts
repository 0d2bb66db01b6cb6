import { invalid, ServiceError } from './errors.ts'
import { type Answer, nameOf, type Request, readJson } from './exchange.ts'
import type { StoredNotification } from './model.ts'
import { notificationResource } from './resource.ts'
import { requireBucket, type Service } from './service.ts'

/**
 * Notification configurations are kept and listed, so that tools that manage them work. They publish nothing: there is
 * no Pub/Sub here. Finalized objects reach functions by the deliveries that the service was started with.
 */
export async function insertNotification(service: Service, request: Request): Promise<Answer> {
  const body = await readJson(request)
  const { notifications, bucket } = requireBucket(service, nameOf(request, 'bucket'))
  const { topic, payload_format: format } = body
  if (typeof topic !== 'string' || topic === '') throw invalid('Required: topic')
  if (format !== 'JSON_API_V1' && format !== 'NONE')
    throw invalid(`Invalid value for payload_format: ${String(format)}`)
  const id = String(Math.max(0, ...[...notifications.keys()].map(Number)) + 1)
  const kept = ['topic', 'payload_format', 'event_types', 'custom_attributes', 'object_name_prefix']
  const fields = Object.fromEntries(Object.entries(body).filter(([key]) => kept.includes(key)))
  const notification = { id, bucket: bucket.name, fields }
  await service.store.commit({ op: 'notification', notification })
  return { status: 200, json: notificationResource(notification, service.endpoint) }
}

export async function listNotifications(service: Service, request: Request): Promise<Answer> {
  const { notifications } = requireBucket(service, nameOf(request, 'bucket'))
  const items = [...notifications.values()].map((one) => notificationResource(one, service.endpoint))
  return { status: 200, json: { kind: 'storage#notifications', items } }
}

export async function getNotification(service: Service, request: Request): Promise<Answer> {
  return { status: 200, json: notificationResource(find(service, request), service.endpoint) }
}

export async function deleteNotification(service: Service, request: Request): Promise<Answer> {
  const { bucket, id } = find(service, request)
  await service.store.commit({ op: 'notification-gone', bucket, id })
  return { status: 204 }
}

function find(service: Service, request: Request): StoredNotification {
  const id = nameOf(request, 'id')
  const found = requireBucket(service, nameOf(request, 'bucket')).notifications.get(id)
  if (!found) throw new ServiceError(404, 'notFound', `Notification ${id} not found.`)
  return found
}
