import type { Command } from './command.ts'
import { stopSignal } from './stop-signal.ts'

/** Of both consumers: their groups keep commits of their own. */
export const ACCEPT_LOSS = {
  value: 'TOPIC/PARTITION@OFFSET',
  help: 'go on at this offset where a partition stopped because records are gone',
} as const

export const command: Command = {
  summary: 'Runs the Kafka consumer here, as in a Cloud Run worker pool.',
  options: { 'accept-loss': ACCEPT_LOSS },
  async run(call) {
    const config = call.config()
    const { parseAcceptLoss, runWorker } = await import('../functions/kafka-worker/index.ts')
    const acceptLoss = parseAcceptLoss(call.text('accept-loss'))
    await runWorker(config, { signal: stopSignal(config.consumer.stop_within), acceptLoss })
  },
}
