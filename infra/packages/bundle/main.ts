// Before all the others: what is loaded without it has let the young objects' space grow.
import '../../../agent/small-heap.ts'
import { type Commands, runCommand } from '../../../cli/run-command.ts'

/** The bundle's entry: the command `millrace` with what is of use on the host whose logs are read. */
const COMMANDS: Commands = {
  agent: () => import('../../../cli/agent.ts'),
  adopt: () => import('../../../cli/adopt.ts'),
  check: () => import('../../../cli/check.ts'),
  init: () => import('../../../cli/init.ts'),
  status: () => import('../../../cli/status.ts'),
  try: () => import('../../../cli/try.ts'),
}

/** Put in by ../bundle.ts: `0.1.0 (commit 0123456789ab)`. */
declare const MILLRACE_VERSION: string

await runCommand(COMMANDS, process.argv.slice(2), MILLRACE_VERSION)
