import { loadConfig } from '../shared/config/index.ts'
import type { Command } from './command.ts'
import { stopSignal } from './stop-signal.ts'

export const command: Command = {
  summary: 'Runs the Kafka consumer here, as in a Cloud Run worker pool.',
  options: {
    'accept-loss': {
      type: 'string',
      value: 'TOPIC/PARTITION@OFFSET',
      help: 'go on at this offset where a partition stopped because records are gone',
    },
  },
  async run(call) {
    const config = loadConfig(call.config)
    const { parseAcceptLoss, runWorker } = await import('../functions/kafka-worker/index.ts')
    const accepted = call.text('accept-loss')
    const acceptLoss = accepted === undefined ? new Map<string, number>() : parseAcceptLoss(accepted)
    await runWorker(config, { signal: stopSignal(config.consumer.stop_within), acceptLoss })
  },
}
