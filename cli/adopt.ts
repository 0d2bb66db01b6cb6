import { createLog } from '../shared/telemetry/index.ts'
import type { Command } from './command.ts'

export const command: Command = {
  usage: 'AGENT',
  summary: `Decides for the undecided chunks of an agent whose host does not return.
It fences the agent: should it come back, it stops and says why; start it anew then. Backfill loads what was handed over.
Exit 1 when chunks are left undecided.`,
  options: {
    from: {
      value: 'start|end',
      help: 'of what Kafka does not know, or may have forgotten: load undecided chunks whole, or not at all',
    },
  },
  async run(call) {
    const from = call.choice('from', 'start', 'end')
    const config = call.config()
    const { adoptAgent } = await import('../agent/adopt.ts')
    const log = createLog('adopt')
    const report = (message: string) => log.warn(message)
    const adopted = await adoptAgent(config, call.arguments[0]!, { report, from })
    process.stdout.write(`${JSON.stringify(adopted)}\n`)
    return adopted.left > 0
  },
}
