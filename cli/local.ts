import { existsSync } from 'node:fs'
import type { Command } from './command.ts'
import { stopSignal } from './stop-signal.ts'

export const command: Command = {
  summary: 'Runs the embedded cloud: a Kafka broker, BigQuery, Cloud Storage and a scheduler on this machine.',
  options: {
    data: { value: 'DIR', help: 'where it keeps its data (default .millrace)' },
    functions: { help: 'also runs the worker and the functions of the configuration' },
    store: { value: 'count', help: 'count: BigQuery keeps no rows, for benchmarks' },
    json: { help: 'prints one line of JSON when it is ready' },
  },
  async run(call) {
    const { runLocal } = await import('../local/main.ts')
    const config = existsSync(call.file) || call.flag('functions') ? call.config() : undefined
    await runLocal({
      config,
      dataDir: call.text('data') ?? '.millrace',
      functions: call.flag('functions'),
      count: call.choice('store', 'count') !== undefined,
      json: call.flag('json'),
      signal: stopSignal(),
    })
  },
}
