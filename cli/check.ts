import { stringify } from 'yaml'
import { openCodec } from '../shared/codec/index.ts'
import type { Config, Route } from '../shared/config/index.ts'
import { messageOf, UserError } from '../shared/errors.ts'
import type { TableField } from '../shared/schema/index.ts'
import type { Command } from './command.ts'

export const command: Command = {
  summary: 'Validates the configuration and its schemas.',
  options: {
    print: { help: 'prints the resolved configuration: durations in ms, sizes in bytes, paths absolute' },
    connect: { help: 'also asks every service that it names' },
  },
  async run(call) {
    const config = call.config()
    compileAll(config)
    if (call.flag('connect')) {
      const { connectAll } = await import('./connect.ts')
      await connectAll(config)
    }
    const summary = `${config.file}: ${Object.keys(config.routes).length} routes, ${config.agent.logs.length} logs, all well\n`
    process.stdout.write(call.flag('print') ? stringify(config) : summary)
  },
}

/** All problems at once, not the first. */
function compileAll(config: Config): void {
  const problems = Object.values(config.routes).flatMap((route) => {
    try {
      return tableProblems(route, openCodec(route).fields)
    } catch (error) {
      const fix = error instanceof UserError && error.fix ? `; fix: ${error.fix}` : ''
      return [`routes.${route.name}: ${messageOf(error).replace(`route ${route.name}: `, '')}${fix}`]
    }
  })
  if (problems.length > 0) throw new UserError(problems.map((problem) => `${config.file}: ${problem}`).join('\n'))
}

const TIMES = ['DATE', 'DATETIME', 'TIMESTAMP']

/** What BigQuery would say of the table, before there is one. */
function tableProblems({ name, partition, cluster }: Route, fields: readonly TableField[]): string[] {
  const without = (wanted: readonly string[], known: readonly TableField[], key: string, what = 'column') => {
    const names = known.map((field) => field.name)
    const missing = wanted.filter((column) => !names.includes(column))
    const fix = names.length > 0 ? `use one of: ${names.join(', ')}` : 'add one, or leave it out'
    return missing.map((column) => `routes.${name}.${key} (${column}): the schema has no such ${what}; fix: ${fix}`)
  }
  const times = fields.filter(({ type, mode }) => TIMES.includes(type) && mode !== 'REPEATED')
  return [
    ...without(partition.field ? [partition.field] : [], times, 'partition.field', `column of ${TIMES.join(', ')}`),
    ...without(cluster, fields, 'cluster'),
  ]
}
