// A process of its own that runs the agent, to be killed by tests: node run-agent.ts CONFIG [start|end].
import { runAgent } from '../../agent/index.ts'
import { loadConfig } from '../../shared/config/index.ts'
import { messageOf } from '../../shared/errors.ts'

const stop = new AbortController()
process.on('SIGTERM', () => stop.abort())
const [file = '', from] = process.argv.slice(2)
try {
  const read = () => loadConfig(file)
  await runAgent(read(), { signal: stop.signal, read, ...(from ? { from: from as 'start' | 'end' } : {}) })
  process.exit(0)
} catch (error) {
  console.error(messageOf(error))
  process.exit(2)
}
