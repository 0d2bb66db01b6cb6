import { type ParseArgsConfig, parseArgs } from 'node:util'
import { type Config, loadConfig } from '../shared/config/index.ts'
import { UserError } from '../shared/errors.ts'

/** The command did what it was asked. */
export const EXIT_OK = 0
/** It found something: a gap, a difference, a problem; or it ended by what nobody expected. */
export const EXIT_FOUND = 1
/** It was used wrongly, or what it was given is broken. */
export const EXIT_USAGE = 2

type Options = NonNullable<ParseArgsConfig['options']>

/** One subcommand. */
export interface Command {
  /** Its positional arguments, as the help shows them and as they are counted: `ROUTE [FILE]`, `FILE...`. */
  readonly usage?: string
  readonly summary: string
  /** Its own options; `--config` and `--help` are everybody's. One without `value`, as the help shows it, is a flag. */
  readonly options?: Readonly<Record<string, { help: string; value?: string }>>
  /** Resolves with whether it found something: a gap, a difference, a problem. */
  run(call: Call): Promise<boolean | void>
}

/** A subcommand as it was called. */
export interface Call {
  /** The path of the configuration. */
  readonly file: string
  readonly arguments: readonly string[]
  /** Reads the configuration. @throws UserError that lists all that is wrong with it */
  config(): Config
  text(option: string): string | undefined
  /** One of these words. @throws UserError when it is another */
  choice<T extends string>(option: string, ...words: readonly T[]): T | undefined
  flag(option: string): boolean
}

const COMMON: Options = { config: { type: 'string', default: 'millrace.yaml' }, help: { type: 'boolean', short: 'h' } }

/** What was asked of a subcommand; `help` when its help was. Throws UserError when it was used wrongly. */
export function parseCall(name: string, command: Command, args: readonly string[]): Call | 'help' {
  const { values, positionals } = parseStrictly(name, command, args)
  if (values['help']) return 'help'
  const words = command.usage?.split(' ') ?? []
  const least = words.filter((word) => !word.startsWith('[')).length
  const most = command.usage?.includes('...') ? Infinity : words.length
  if (positionals.length < least || positionals.length > most) {
    throw new UserError(`millrace ${name} takes: ${command.usage ?? 'no arguments'}`, `see millrace ${name} --help`)
  }
  const file = String(values['config'])
  return {
    file,
    config: () => loadConfig(file),
    arguments: positionals,
    text: (option) => (typeof values[option] === 'string' ? values[option] : undefined),
    choice: (option, ...words) => chosen(option, values[option], words),
    flag: (option) => values[option] === true,
  }
}

function chosen<T extends string>(option: string, given: unknown, words: readonly T[]): T | undefined {
  const choice = words.find((word) => word === given)
  if (choice !== undefined || given === undefined) return choice
  throw new UserError(`--${option} ${String(given)}`, `use ${words.map((word) => `--${option} ${word}`).join(' or ')}`)
}

function parseStrictly(name: string, command: Command, args: readonly string[]) {
  const own: Options = {}
  for (const [key, { value }] of Object.entries(command.options ?? {}))
    own[key] = { type: value ? 'string' : 'boolean' }
  try {
    return parseArgs({ args: [...args], options: { ...COMMON, ...own }, allowPositionals: true })
  } catch (error) {
    throw new UserError(`millrace ${name}: ${(error as Error).message.split('. ')[0]}`, `see millrace ${name} --help`)
  }
}

/** What `millrace NAME --help` prints. */
export function helpOf(name: string, command: Command): string {
  const config = { value: 'FILE', help: 'the configuration (default millrace.yaml)' }
  const all = Object.entries({ ...command.options, config })
  const rows = all.map(([key, { value, help }]) => [`--${key}${value ? ` ${value}` : ''}`, help] as const)
  const width = Math.max(...rows.map(([option]) => option.length))
  const options = rows.map(([option, help]) => `  ${option.padEnd(width)}  ${help}`)
  return `millrace ${name} ${command.usage ?? ''}\n\n${command.summary}\n\n${options.join('\n')}\n`
}
