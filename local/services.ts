import { fileURLToPath } from 'node:url'
import type { Service } from './start/supervisor.ts'

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))
const COMMAND = path('../cli/main.ts')

/** A process of its own for a subcommand that runs until it is stopped. */
export function commandService(name: 'agent' | 'worker', configFile: string): Service {
  return { name, args: [COMMAND, name, '--config', configFile], restart: true }
}

/** A function of `functions/index.ts`, served as functions-framework serves it in the cloud. */
export function functionService(target: string, port: number, configFile: string): Service {
  const env = { MILLRACE_CONFIG: configFile }
  return {
    name: target,
    args: [path('./function-server.ts'), target, String(port)],
    env,
    announces: true,
    restart: true,
  }
}

export function cloudService(dataDir: string, configFile: string, functionsPort: number): Service {
  const env = { MILLRACE_LOCAL_PORTS_FUNCTIONS: String(functionsPort) }
  return {
    name: 'cloud',
    args: [COMMAND, 'local', '--json', '--data', dataDir, '--config', configFile],
    env,
    announces: true,
  }
}
