import { stringify } from 'yaml'
import { openCodec } from '../shared/codec/index.ts'
import { type Config, loadConfig } from '../shared/config/index.ts'
import { messageOf, UserError } from '../shared/errors.ts'
import type { Command } from './command.ts'

export const command: Command = {
  summary: 'Validates the configuration and its schemas.',
  options: {
    print: {
      type: 'boolean',
      help: 'prints the resolved configuration: durations in ms, sizes in bytes, paths absolute',
    },
    connect: { type: 'boolean', help: 'also asks every service that it names' },
  },
  async run(call) {
    const config = loadConfig(call.config)
    compileAll(config)
    if (call.flag('connect')) {
      const { connectAll } = await import('./connect.ts')
      await connectAll(config)
    }
    if (call.flag('print')) process.stdout.write(stringify(config))
    else
      process.stdout.write(
        `${config.file}: ${Object.keys(config.routes).length} routes, ${config.agent.logs.length} logs, all well\n`,
      )
  },
}

/** All problems at once, not the first. */
function compileAll(config: Config): void {
  const problems = Object.values(config.routes).flatMap((route) => {
    try {
      openCodec(route)
      return []
    } catch (error) {
      const fix = error instanceof UserError && error.fix ? `; fix: ${error.fix}` : ''
      return [`routes.${route.name}: ${messageOf(error)}${fix}`]
    }
  })
  if (problems.length > 0) throw new UserError(`${config.file}:\n${problems.join('\n')}`)
}
