import { loadConfig } from '../shared/config/index.ts'
import { createLog } from '../shared/telemetry/index.ts'
import type { Command } from './command.ts'

export const command: Command = {
  summary: 'Takes what the topics hold now, as the scheduled function does, and prints what it did.',
  async run(call) {
    const { drain } = await import('../functions/kafka-drain/index.ts')
    const answer = await drain(loadConfig(call.config), createLog('kafka-drain'))
    process.stdout.write(`${JSON.stringify(answer)}\n`)
  },
}
