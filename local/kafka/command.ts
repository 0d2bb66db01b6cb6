import { execFile } from 'node:child_process'

/** A program with its arguments. */
export type Command = readonly [file: string, ...args: string[]]

/** What a finished program said: both of its streams together. `code` is -1 when it could not be started or was killed. */
export interface Outcome {
  code: number
  output: string
}

const OUTPUT_BYTES_MAX = 16 * 1024 * 1024

/** Runs a program to its end; never rejects. */
export function run(
  [file, ...args]: Command,
  options: { cwd?: string; env?: NodeJS.ProcessEnv; timeoutMs?: number } = {},
): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>()
  execFile(
    file,
    args,
    { cwd: options.cwd, env: options.env, timeout: options.timeoutMs ?? 0, maxBuffer: OUTPUT_BYTES_MAX },
    (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
      const output = `${stdout}${stderr}`.trim()
      resolve({ code, output: output === '' && error !== null ? error.message : output })
    },
  )
  return promise
}

/** The last lines of a text, for an error message. */
export function lastLines(text: string, count: number): string {
  return text.trimEnd().split('\n').slice(-count).join('\n')
}
