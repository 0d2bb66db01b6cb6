import { once } from 'node:events'
import type { HttpFunction, Request } from '@google-cloud/functions-framework'
import { type Config, loadConfig, type Route } from '../../shared/config/index.ts'
import { messageOf, UserError } from '../../shared/errors.ts'
import { createLog } from '../../shared/telemetry/index.ts'
import { openWarehouse } from '../../shared/warehouse/index.ts'
import { openAuthorize } from './authorize.ts'
import { type Pushed, readBody } from './read-body.ts'
import { Refusal } from './refusal.ts'
import { openRouteWriter, type Result } from './route-writer.ts'
import { typeOf, wholeBody } from './whole-body.ts'

export { hideTypes } from './whole-body.ts'

/** Below the 30 s that connectors wait: they are told to come back, rather than left to guess. */
const ANSWER_WITHIN_MS = 25_000
const RETRY_AFTER_SECONDS = 10

/** What an instance opens once. */
export type Environment = ReturnType<typeof openEnvironment>

/** `authorize`: undefined when nobody may send. */
export function openEnvironment(config: Config) {
  const authorize = config.push && openAuthorize(config.push)
  return { config, warehouse: openWarehouse(config, 'kafka-push'), authorize, answerWithinMs: ANSWER_WITHIN_MS }
}

/**
 * The function `kafka-push`, to which connectors post events: at least once. 200: all of them are durable, as rows or as
 * dead letters; 4xx: nothing was written, and no retry would help; 503: some may be written, and all are to be sent again.
 */
export const kafkaPush = createKafkaPush(() => openEnvironment(loadConfig()))

/** @param open called for the first request, and again when it threw */
export function createKafkaPush(open: () => Environment): HttpFunction {
  const log = createLog('kafka-push')
  const writers = new Map<Route, ReturnType<typeof openRouteWriter>>()
  let environment: Environment | undefined
  return async (request, response) => {
    try {
      const { config, warehouse, authorize, answerWithinMs } = (environment ??= open())
      if (!authorize) throw new Refusal(404, 'no route takes events over HTTP')
      await authorize(request.get('authorization') ?? '')
      const { events, isArray } = await read(config, request)
      const late = AbortSignal.timeout(answerWithinMs)
      const writes = Map.groupBy(events, ({ route }) => route)
        .entries()
        .map(async ([route, its]) => {
          const writer = writers.get(route) ?? openRouteWriter(config, warehouse, log, route)
          writers.set(route, writer)
          return [route, (await writer.write(its, late)).values()] as const
        })
      const tooLate = once(late, 'abort').then(() => Promise.reject(new Error('BigQuery did not answer in time')))
      const byRoute = new Map(await Promise.race([Promise.all(writes), tooLate]))
      const results = events.flatMap(({ route }) => byRoute.get(route)?.next().value ?? [])
      response.status(200).json(isArray ? results : summaryOf(results))
    } catch (error) {
      if (error instanceof Refusal) return void response.status(error.status).json({ error: error.message })
      log.error({ error: messageOf(error) }, 'not taken: the sender is to try again')
      const text = 'not everything is written, and the log of kafka-push says why: send it again'
      response.status(503).set('retry-after', String(RETRY_AFTER_SECONDS)).json({ error: text })
    }
  }
}

/** The events of a request, by the route that its path names or by their topics. */
async function read(config: Config, request: Request): Promise<Pushed> {
  if (request.method !== 'POST') throw new Refusal(405, 'use POST')
  const routes = Object.values(config.routes).filter((route) => route.push)
  const name = request.path.slice(1)
  const named = routes.find((route) => route.name === name)
  if (name !== '' && !named) throw new Refusal(404, `no route with push has the name ${name}`)
  const body = await wholeBody(request)
  const byTopic = new Map(routes.map((route) => [route.topic ?? '', route]))
  try {
    return readBody(body, typeOf(request), { named, byTopic })
  } catch (error) {
    throw error instanceof UserError ? new Refusal(400, error.message) : error
  }
}

function summaryOf(results: readonly Result[]): object {
  const count = (wanted: Result['status']) => results.filter(({ status }) => status === wanted).length
  const reasons = new Set(results.flatMap((result) => (result.status === 'dead_letter' ? [result.reason] : [])))
  return { events: results.length, rows: count('row'), dead_letters: count('dead_letter'), reasons: [...reasons] }
}
