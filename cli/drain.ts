import { loadConfig } from '../shared/config/index.ts'
import { createLog } from '../shared/telemetry/index.ts'
import { type Command, EXIT_OK } from './command.ts'

export const command: Command = {
  usage: '',
  summary: 'Takes what the topics hold now, as the scheduled function does, and prints what it did.',
  options: {},
  arguments: [0, 0],
  async run(call) {
    const { drain } = await import('../functions/kafka-drain/index.ts')
    const answer = await drain(loadConfig(call.config), createLog('kafka-drain'))
    process.stdout.write(`${JSON.stringify(answer)}\n`)
    return EXIT_OK
  },
}
