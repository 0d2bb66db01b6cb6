import '../agent/small-heap.ts'
import { loadConfig } from '../shared/config/index.ts'
import { messageOf, UserError } from '../shared/errors.ts'
import { createLog } from '../shared/telemetry/index.ts'
import { type Command, EXIT_FOUND } from './command.ts'
import { stopSignal } from './stop-signal.ts'

export const command: Command = {
  summary: 'Runs the edge agent: follows the configured logs, publishes their events, uploads finished files.',
  options: {
    from: { value: 'start|end', help: 'where to begin when Kafka has forgotten the positions of this agent' },
  },
  async run(call) {
    const from = call.choice('from', 'start', 'end')
    const config = loadConfig(call.config)
    const { runAgent } = await import('../agent/index.ts')
    const read = () => loadConfig(call.config)
    try {
      await runAgent(config, { signal: stopSignal(config.agent.stop_within), read, ...(from ? { from } : {}) })
    } catch (error) {
      if (error instanceof UserError) throw error
      // The service manager starts it again, unless only an operator can mend what it died of.
      createLog('agent').error({ err: error }, `ended by what nobody expected: ${messageOf(error)}`)
      return EXIT_FOUND
    }
    return undefined
  },
}
