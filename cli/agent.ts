import '../agent/small-heap.ts'
import type { Command } from './command.ts'
import { stopSignal } from './stop-signal.ts'

export const command: Command = {
  summary: 'Runs the edge agent: follows the configured logs, publishes their events, uploads finished files.',
  options: {
    from: { value: 'start|end', help: 'where to begin when Kafka has forgotten the positions of this agent' },
  },
  async run(call) {
    const from = call.choice('from', 'start', 'end')
    const config = call.config()
    const { runAgent } = await import('../agent/index.ts')
    const signal = stopSignal(config.agent.stop_within)
    await runAgent(config, { signal, read: call.config, from })
  },
}
