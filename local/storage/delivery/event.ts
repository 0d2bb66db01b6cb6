import type { Delivery } from '../model.ts'
import { objectResource } from '../resource.ts'
import { type DeliveryTarget, targetName } from './target.ts'

/** A request to a function. */
export interface Push {
  headers: Record<string, string>
  body: string
}

/** The request that tells a target of a finalized object. Forms: Google's reference, recorded by public projects. */
export function pushOf(target: DeliveryTarget, delivery: Delivery, endpoint: string): Push {
  return target.form === 'eventarc' ? cloudEvent(delivery, endpoint) : pubsubPush(target, delivery, endpoint)
}

/** CloudEvents 1.0 in HTTP's binary mode, as Eventarc sends it. */
function cloudEvent({ id, object, createdMs }: Delivery, endpoint: string): Push {
  return {
    headers: {
      'content-type': 'application/json',
      'ce-specversion': '1.0',
      'ce-id': id,
      'ce-type': 'google.cloud.storage.object.v1.finalized',
      'ce-source': `//storage.googleapis.com/projects/_/buckets/${object.bucket}`,
      'ce-subject': `objects/${headerText(object.name)}`,
      'ce-time': new Date(createdMs).toISOString(),
      'ce-bucket': object.bucket,
    },
    body: JSON.stringify(objectResource(object, endpoint)),
  }
}

/** CloudEvents HTTP binding 3.1.3.2: what is not printable ASCII, and space, quote and percent, as percent-encoded UTF-8. */
function headerText(text: string): string {
  return text.replace(/[^\x21\x23\x24\x26-\x7e]/gu, (character) =>
    [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )
}

/** The body of a Pub/Sub push subscription on a bucket's notifications (payload JSON_API_V1). */
function pubsubPush(target: DeliveryTarget, { id, object, createdMs, attempts }: Delivery, endpoint: string): Push {
  const time = new Date(createdMs).toISOString()
  const message = {
    attributes: {
      bucketId: object.bucket,
      eventTime: time,
      eventType: 'OBJECT_FINALIZE',
      notificationConfig: `projects/_/buckets/${object.bucket}/notificationConfigs/1`,
      objectGeneration: String(object.generation),
      objectId: object.name,
      payloadFormat: 'JSON_API_V1',
    },
    data: Buffer.from(JSON.stringify(objectResource(object, endpoint))).toString('base64'),
    messageId: id,
    message_id: id,
    publishTime: time,
    publish_time: time,
  }
  const subscription = `projects/local/subscriptions/${targetName(target).replaceAll('/', '-')}`
  return {
    headers: {
      'content-type': 'application/json',
      'user-agent': 'APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)',
    },
    body: JSON.stringify({ message, subscription, deliveryAttempt: attempts + 1 }),
  }
}
