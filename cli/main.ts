import { type Commands, runCommand } from './run-command.ts'

const COMMANDS: Commands = {
  agent: () => import('./agent.ts'),
  adopt: () => import('./adopt.ts'),
  worker: () => import('./worker.ts'),
  drain: () => import('./drain.ts'),
  local: () => import('./local.ts'),
  init: () => import('./init.ts'),
  try: () => import('./try.ts'),
  query: () => import('./query.ts'),
  schema: () => import('./schema.ts'),
  status: () => import('./status.ts'),
  audit: () => import('./audit.ts'),
  check: () => import('./check.ts'),
}

/** Runs `millrace ARGS`. */
export const run = (args: readonly string[]): Promise<void> => runCommand(COMMANDS, args)

if (process.argv[1] === import.meta.filename) await run(process.argv.slice(2))
