import { BigQuery, type BigQueryOptions } from '@google-cloud/bigquery'
import { OAuth2Client } from 'google-auth-library'
import type { Config } from '../config/index.ts'
import { messageOf } from '../errors.ts'
import { userAgent } from '../telemetry/index.ts'

/** BigQuery's REST interface: where queries run, where datasets are made, and one call. */
export type Rest = ReturnType<typeof openRest>

/** Three times as long as a query's page is waited for. The client has no limit of its own: fetch gives up after 5 minutes. */
const ANSWER_WITHIN_MS = 60_000

/** @param entry who calls: part of the user agent */
export function openRest(config: Config, entry: string, answerWithinMs = ANSWER_WITHIN_MS) {
  const options = { projectId: config.project, location: config.region, userAgent: userAgent(entry) }
  const client = new BigQuery({ ...options, ...localService(config.endpoints.bigquery) })
  return {
    project: config.project,
    region: config.region,
    /** `uri` follows `/projects/<project>/`. @throws ApiError */
    call: (request: Parameters<BigQuery['request']>[0]) =>
      new Promise<Record<string, unknown>>((resolve, reject) => {
        AbortSignal.timeout(answerWithinMs).onabort = () => reject(new Error('BigQuery does not answer'))
        client.request(request, (error, body) => (error ? reject(error) : resolve(body ?? {})))
      }),
  }
}

/** Absent: Google's own, with the credentials of the environment. */
function localService(apiEndpoint: string | undefined): BigQueryOptions {
  if (!apiEndpoint) return {}
  const authClient = new OAuth2Client()
  authClient.setCredentials({ access_token: 'local', expiry_date: Number.MAX_SAFE_INTEGER })
  return { apiEndpoint, authClient }
}

/** The HTTP status of an ApiError. */
export function codeOf(error: unknown): number | undefined {
  const { code } = error as { code?: unknown }
  return typeof code === 'number' ? code : undefined
}

/** The service's reason, such as `notFound` or `duplicate`, and its message in one line. */
export function describeApiError(error: unknown): string {
  const { errors } = error as { errors?: { reason?: string }[] }
  return [errors?.[0]?.reason, messageOf(error)].filter(Boolean).join(': ')
}
