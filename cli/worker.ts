import { loadConfig } from '../shared/config/index.ts'
import { type Command, EXIT_OK } from './command.ts'
import { stopSignal } from './stop-signal.ts'

export const command: Command = {
  usage: '',
  summary: 'Runs the Kafka consumer here, as in a Cloud Run worker pool.',
  options: {},
  arguments: [0, 0],
  async run(call) {
    const config = loadConfig(call.config)
    const { runWorker } = await import('../functions/kafka-worker/index.ts')
    await runWorker(config, { signal: stopSignal(config.consumer.stop_within) })
    return EXIT_OK
  },
}
