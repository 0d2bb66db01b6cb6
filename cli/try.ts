import { createReadStream } from 'node:fs'
import { tryEvents } from '../shared/trial/index.ts'
import type { Command } from './command.ts'
import { routeOf } from './route.ts'

export const command: Command = {
  usage: 'ROUTE FILE',
  summary: `Shows the rows and dead letters that a file would give, one JSON object a line. Touches nothing.
FILE may be compressed by gzip or zstd; - is the standard input. Exit 1 when there were dead letters.`,
  async run(call) {
    const [name = '', file = ''] = call.arguments
    const config = call.config()
    const route = routeOf(config, name)
    const input = file === '-' ? process.stdin : createReadStream(file)
    const counts = { rows: 0, deadLetters: 0 }
    const options = { source: file, maxEventBytes: config.agent.max_event_bytes }
    for await (const outcome of tryEvents(route, input, options)) {
      process.stdout.write(`${JSON.stringify(outcome)}\n`)
      counts['row' in outcome ? 'rows' : 'deadLetters']++
    }
    process.stderr.write(`${counts.rows} rows, ${counts.deadLetters} dead letters\n`)
    return counts.deadLetters > 0
  },
}
