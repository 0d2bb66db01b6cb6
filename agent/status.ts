import type { Server } from 'node:http'
import type { SourceStatus } from '../shared/status/index.ts'
import { type Answer, prometheusPage, servePages } from '../shared/telemetry/index.ts'
import type { Followed } from './follow/index.ts'
import type { Life } from './life.ts'

/** What of a running agent can be asked how it is. */
export type Parts = Pick<Life, 'config' | 'follower' | 'publisher' | 'uploader' | 'startedMs'>

/** Counters since the start, and the state now; names are those of the metrics. */
export function measures({ follower, publisher, uploader, startedMs }: Parts): Record<string, number> {
  const sources = statuses({ follower, uploader })
  return {
    events_total: publisher?.counts.events ?? 0,
    bytes_total: publisher?.counts.bytes ?? 0,
    dead_events_total: publisher?.counts.dead ?? 0,
    transactions_total: publisher?.counts.transactions ?? 0,
    sessions_total: publisher?.counts.sessions ?? 0,
    chunks_total: uploader.counts.chunks,
    chunk_bytes_total: uploader.counts.bytes,
    sources: sources.length,
    lag_bytes: sources.reduce((sum, { lag_bytes }) => sum + lag_bytes, 0),
    lag_seconds: sources.reduce((most, { lag_seconds }) => Math.max(most, lag_seconds), 0),
    undecided_chunks: uploader.undecided,
    in_touch: Number(publisher?.session !== undefined),
    resident_bytes: process.memoryUsage.rss(),
    uptime_seconds: Math.round((Date.now() - startedMs) / 1000),
  }
}

/** Of every source that is followed. */
export function statuses(parts: Pick<Parts, 'follower' | 'uploader'>): SourceStatus[] {
  return Array.from(parts.follower.sources.values(), (followed) => statusOf(followed, parts))
}

function statusOf(followed: Followed, { follower, uploader }: Pick<Parts, 'follower' | 'uploader'>): SourceStatus {
  const { source, file, log } = followed
  const chunks = uploader.chunksOf(followed)
  const byKafka = uploader.topicOf(followed) !== undefined
  const carried = byKafka ? (follower.entry(source.id)?.position ?? 0) : (chunks.at(-1)?.metadata.size ?? 0)
  const end = byKafka ? follower.entry(source.id)?.size : chunks.at(-1)?.metadata.size
  const size = file.encoding === 'plain' ? file.seen.size : (end ?? null)
  const isDue = byKafka ? !source.finished : follower.isFinishable(followed, Date.now())
  const lag = isDue ? Math.max(0, (size ?? carried) - carried) : 0
  const undecided = chunks.some(({ metadata }) => metadata.ranges === 'undecided')
  return {
    source: source.id,
    route: log.route,
    path: file.seen.path,
    position: carried,
    size,
    lag_bytes: lag,
    lag_seconds: lag > 0 ? Math.max(0, Math.round((Date.now() - file.changedAtMs) / 1000)) : 0,
    carrier: undecided ? 'undecided' : byKafka ? 'kafka' : 'chunk',
    finished: source.finished,
    chunks: chunks.map(({ object }) => object.name),
  }
}

/**
 * Serves /healthz, /metrics (Prometheus) and /status (JSON) on 127.0.0.1. Rejects with UserError when the port is taken.
 */
export function serveStatus(port: number, parts: Parts): Promise<Server> {
  const { config } = parts
  const status = () => ({ agent: config.agent.id, ...measures(parts), open: statuses(parts) })
  const pages = {
    '/healthz': (): Answer => [200, 'ok\n'],
    '/metrics': () => prometheusPage('millrace_agent_', measures(parts), (name) => name.endsWith('_total')),
    '/status': (): Answer => [200, `${JSON.stringify(status(), undefined, 1)}\n`, 'application/json'],
  }
  return servePages(port, `agent.port in ${config.file}`, pages, '127.0.0.1')
}
