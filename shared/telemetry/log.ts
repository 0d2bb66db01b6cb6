import { type Logger, pino } from 'pino'
import { UserError } from '../errors.ts'

/** What `createLog` makes. */
export type Log = Logger

/**
 * A logger in Cloud Logging's structured form, one JSON object a line on stderr, written synchronously, so that a
 * dying process loses no line. `MILLRACE_LOG_LEVEL` sets the lowest level that is written (default `info`).
 * @throws UserError when it is none
 */
export function createLog(component: string): Log {
  const level = process.env['MILLRACE_LOG_LEVEL'] || 'info'
  const known = [...Object.keys(pino.levels.values), 'silent']
  if (!known.includes(level)) throw new UserError(`MILLRACE_LOG_LEVEL=${level}: no level`, `use ${known.join(', ')}`)
  return pino(
    {
      level,
      base: { component },
      messageKey: 'message',
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      // pino's levels in Cloud Logging's words: https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry#LogSeverity
      formatters: { level: (label) => ({ severity: label === 'warn' ? 'WARNING' : label.toUpperCase() }) },
    },
    pino.destination({ dest: 2, sync: true }),
  )
}
