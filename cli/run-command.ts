import manifest from '../package.json' with { type: 'json' }
import { messageOf, UserError } from '../shared/errors.ts'
import { type Command, EXIT_FOUND, EXIT_OK, EXIT_USAGE, helpOf, parseCall } from './command.ts'

/** Subcommands by their names. They are imported when called: a help text needs no database client. */
export type Commands = Readonly<Record<string, () => Promise<{ command: Command }>>>

/**
 * Runs `millrace ARGS` with one of these commands and sets the exit code: 0, 1 (found something, or failed as nobody expected) or 2 (used wrongly).
 * @param version what `--version` says
 */
export async function runCommand(
  commands: Commands,
  args: readonly string[],
  version = `${manifest.version} (sources)`,
): Promise<void> {
  process.stdout.once('error', endWithReader)
  try {
    process.exitCode = await dispatch(commands, args, version)
  } catch (error) {
    const told = textOf(error)
    process.exitCode = told === undefined ? EXIT_FOUND : EXIT_USAGE
    process.stderr.write(told ?? `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  }
}

async function dispatch(commands: Commands, [name, ...args]: readonly string[], version: string): Promise<number> {
  if (name === '--version') {
    process.stdout.write(`millrace ${version}\n`)
    return EXIT_OK
  }
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(await overview(commands))
    return name === undefined ? EXIT_USAGE : EXIT_OK
  }
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!load)
    throw new UserError(`millrace: there is no command ${name}`, `use one of: ${Object.keys(commands).join(', ')}`)
  const { command } = await load()
  const call = parseCall(name, command, args)
  if (call !== 'help') return (await command.run(call)) ? EXIT_FOUND : EXIT_OK
  process.stdout.write(helpOf(name, command))
  return EXIT_OK
}

async function overview(commands: Commands): Promise<string> {
  const rows = await Array.fromAsync(Object.entries(commands), async ([name, load]) => {
    const { command } = await load()
    return `  ${`${name} ${command.usage ?? ''}`.padEnd(24)}  ${command.summary.split('\n')[0]}`
  })
  return `millrace COMMAND [--config FILE]\n\n${rows.join('\n')}\n\nmillrace COMMAND --help says more. Results go to stdout, diagnostics to stderr; exit 0, 1 (found something) or 2 (used wrongly).\n`
}

/** What only an operator can mend is told without a stack. Undefined: nobody expected it, and the stack is what we need. */
function textOf(error: unknown): string | undefined {
  if (error instanceof UserError) return `${error.message}\n${error.fix ? `fix: ${error.fix}\n` : ''}`
  const { name, code } = error as NodeJS.ErrnoException
  if (name === 'KafkaError') return `${messageOf(error)}\nfix: millrace check --connect says who does not answer\n`
  if (code === 'ERR_MODULE_NOT_FOUND') return `${messageOf(error)}\nfix: npm ci in Millrace's folder\n`
  return undefined
}

/** Whoever reads the results may stop when they have enough (`| head`): that ends the command, and is no error. */
function endWithReader(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error
  process.exit(EXIT_OK)
}
