import type { Request } from '@google-cloud/functions-framework'

type Fields = Readonly<Record<string, unknown>>

/**
 * Reads the three forms in which Cloud Storage's notifications come: Eventarc's CloudEvent (binary and structured) with
 * StorageObjectData, and a Pub/Sub push with the object's resource. `ignored`: of another event than a finalized object.
 * https://cloud.google.com/storage/docs/pubsub-notifications, https://cloud.google.com/eventarc/docs/cloudevents
 */
export function readNotification({ headers, body }: Pick<Request, 'headers' | 'body'>) {
  const fields = asFields(body)
  if (!fields) return { invalid: 'the body is not a JSON object' }
  const message = asFields(fields['message'])
  if (message) {
    const attributes = asFields(message['attributes']) ?? {}
    const { eventType, bucketId: bucket, objectId: name, objectGeneration: generation } = attributes
    return eventType === 'OBJECT_FINALIZE' ? reference({ bucket, name, generation }) : 'ignored'
  }
  const type = headers['ce-type'] ?? fields['type']
  if (type === undefined) return { invalid: 'neither a CloudEvent nor a Pub/Sub push' }
  if (type !== 'google.cloud.storage.object.v1.finalized') return 'ignored'
  return reference(headers['ce-type'] === undefined ? asFields(fields['data']) : fields)
}

/** The object at one generation. */
function reference(data: Fields | undefined) {
  const { bucket, name, generation } = data ?? {}
  const isNumbered = typeof generation === 'string' || typeof generation === 'number'
  if (typeof bucket === 'string' && typeof name === 'string' && isNumbered)
    return { bucket, name, generation: String(generation) }
  return { invalid: 'generation, bucket or name of the object is missing' }
}

function asFields(value: unknown): Fields | undefined {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Fields) : undefined
}
