import { type Logger, pino } from 'pino'

export type Log = Logger

/** Cloud Logging's severities for those of pino's levels that are used: https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry#LogSeverity */
const SEVERITY: Readonly<Record<string, string>> = {
  debug: 'DEBUG',
  info: 'INFO',
  warn: 'WARNING',
  error: 'ERROR',
}

/**
 * A logger in Cloud Logging's structured form, one JSON object a line on stderr, written synchronously, so that a
 * dying process loses no line. `MILLRACE_LOG_LEVEL` sets the lowest level that is written (default `info`).
 */
export function createLog(component: string): Log {
  return pino(
    {
      level: process.env['MILLRACE_LOG_LEVEL'] ?? 'info',
      base: { component },
      messageKey: 'message',
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ severity: SEVERITY[label] ?? 'DEFAULT' }) },
    },
    pino.destination({ dest: 2, sync: true }),
  )
}
