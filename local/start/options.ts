import { parseArgs } from 'node:util'
import { UserError } from '../../shared/errors.ts'
import type { OwnLog } from './own-log.ts'

export interface StartOptions {
  readonly config: string | undefined
  readonly dataDir: string
  readonly ownLog: OwnLog | undefined
  /** Undefined: until it is stopped. */
  readonly forMs: number | undefined
  readonly rate: number
}

export const HELP = `npm start                     the sample shop: its logs through Kafka and chunks into BigQuery, all on this machine
npm start -- --for 30s        the same for that long; then drains, audits, and says what came of it
npm start -- --config FILE --log FILE --route ROUTE    feeds a file of your own instead of the sample

  --data DIR     where everything is kept (default .millrace)
  --rate N       events a second of the sample's traffic (default 1000)
`

const MS_PER: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 }

/** @throws UserError when they make no sense */
export function readOptions(args: readonly string[]): StartOptions | 'help' {
  const { values } = parse(args)
  if (values.help) return 'help'
  if ((values.log === undefined) !== (values.route === undefined)) {
    throw new UserError('--log and --route go together', 'npm start -- --config FILE --log FILE --route ROUTE')
  }
  if (values.log !== undefined && values.config === undefined) {
    throw new UserError('--log needs --config', 'name the configuration that has the route: --config FILE')
  }
  if (values.config !== undefined && values.log === undefined) {
    throw new UserError('--config needs --log and --route', 'name what to feed: --log FILE --route ROUTE')
  }
  const ownLog =
    values.log !== undefined && values.route !== undefined ? { file: values.log, route: values.route } : undefined
  return {
    config: values.config,
    dataDir: values.data,
    ownLog,
    forMs: durationOf(values.for),
    rate: rateOf(values.rate),
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        config: { type: 'string' },
        log: { type: 'string' },
        route: { type: 'string' },
        data: { type: 'string', default: '.millrace' },
        for: { type: 'string' },
        rate: { type: 'string', default: '1000' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    throw new UserError((error as Error).message.split('. ')[0] ?? '', 'see npm start -- --help')
  }
}

function durationOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const [, amount, unit = ''] = /^([0-9]+)(s|m|h)$/.exec(text) ?? []
  if (amount === undefined) throw new UserError(`--for ${text}: not a duration`, 'write it as 30s, 5m or 1h')
  return Number(amount) * (MS_PER[unit] ?? 0)
}

function rateOf(text: string): number {
  const rate = Number(text)
  if (!Number.isInteger(rate) || rate < 1 || rate > 100_000)
    throw new UserError(`--rate ${text}: not a rate`, 'use 1 to 100000 events a second')
  return rate
}
