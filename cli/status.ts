import { UserError } from '../shared/errors.ts'
import { wrongs } from '../shared/status/report.ts'
import { type Command, EXIT_FOUND, EXIT_OK } from './command.ts'
import { pageOf } from './status-page.ts'

export const command: Command = {
  summary: `Shows agents, lag, chunks that are not committed and dead letters.
Exit 1 when something is wrong: a part that cannot be asked; bytes or records that have waited for longer than --late; records that Kafka deleted before they
were taken; a chunk that failed, or is not decided or committed in its time; more dead letters than --dead-letters.`,
  options: {
    late: { value: 'SECONDS', help: 'what has waited for longer is wrong (default 300)' },
    'dead-letters': { value: 'N', help: 'open ones of the last 24 hours that may be (default 0)' },
    days: { value: 'N', help: 'chunks of sources first read on these last days (UTC; default 14)' },
    json: { help: 'one JSON object on a terminal too' },
  },
  async run(call) {
    const number = (option: string, otherwise: number) => numberOf(option, call.text(option), otherwise)
    const [lateMs, days] = [number('late', 300) * 1000, number('days', 14)]
    const deadLettersMax = number('dead-letters', 0)
    const config = call.config()
    const needsKafka = config.agent.logs.some(({ route }) => config.routes[route]?.topic !== undefined)
    const { askAll } = await import('./status-parts.ts')
    const report = await askAll(config, { lateMs, days: Math.max(1, days) })
    const wrong = wrongs(report, { lateMs, deadLettersMax, needsKafka })
    const asJson = !process.stdout.isTTY || call.flag('json')
    const text = asJson ? `${JSON.stringify({ wrong, ...report })}\n` : pageOf(report, wrong)
    const code = wrong.length > 0 ? EXIT_FOUND : EXIT_OK
    process.stdout.write(text, () => process.exit(code))
    return wrong.length > 0
  },
}

function numberOf(option: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new UserError(`--${option} ${text}: not a whole number`, `write it as --${option} ${otherwise}`)
}
