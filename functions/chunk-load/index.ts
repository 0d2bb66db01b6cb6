import type { Request, Response } from '@google-cloud/functions-framework'
import { loadConfig } from '../../shared/config/index.ts'
import { type Environment, openEnvironment } from './environment.ts'
import { loadChunk } from './load-chunk.ts'
import { readNotification } from './notification.ts'

export { type Environment, openEnvironment } from './environment.ts'
export { loadChunk, type Outcome } from './load-chunk.ts'

let environment: Environment | undefined

/**
 * The function `chunk-load`: takes the notification of a finalized object (Eventarc, or a Pub/Sub push) through the
 * object's states. 2xx: nothing more to do; 429: somebody else is at it, the notification is to return; 400: no
 * notification; anything thrown becomes 500, and the notification returns.
 */
export async function chunkLoad(request: Request, response: Response): Promise<void> {
  const named = readNotification(request)
  if (named === 'ignored') return void response.status(204).end()
  if ('invalid' in named) return void response.status(400).json({ error: named.invalid })
  environment ??= openEnvironment(loadConfig(), 'chunk-load')
  if (named.bucket !== environment.bucket.name)
    return void response.json({ outcome: 'done', what: `not the bucket of ${environment.config.file}` })
  const { kind, what } = await loadChunk(environment, named.name, named.generation)
  response.status(kind === 'later' ? 429 : 200).json({ outcome: kind, what })
}
