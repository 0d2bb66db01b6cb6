import { createLog } from '../shared/telemetry/index.ts'
import type { Command } from './command.ts'
import { ACCEPT_LOSS } from './worker.ts'

export const command: Command = {
  summary: 'Takes what the topics hold now, as the scheduled function does, and prints what it did.',
  options: { 'accept-loss': ACCEPT_LOSS },
  async run(call) {
    const { drain, parseAcceptLoss } = await import('../functions/kafka-drain/index.ts')
    const acceptLoss = parseAcceptLoss(call.text('accept-loss'))
    const answer = await drain(call.config(), createLog('kafka-drain'), acceptLoss)
    process.stdout.write(`${JSON.stringify(answer)}\n`)
  },
}
