import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type RunningBigQuery, startBigQuery } from '../../local/bigquery/index.ts'

const COMMAND = fileURLToPath(new URL('../../cli/main.ts', import.meta.url))

/** What a command left behind. */
export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs `millrace ARGS` in a folder, as a process of its own. */
export async function millrace(folder: string, args: readonly string[], input?: Buffer): Promise<Ended> {
  const child = spawn(process.execPath, [COMMAND, ...args], { cwd: folder })
  child.stdin.end(input)
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return { code, stdout, stderr }
}

/** A folder with files in it, gone after the test. */
export function folderWith(t: TestContext, files: Readonly<Record<string, string | Buffer>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-cli-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
  return folder
}

/** A BigQuery stand-in of the test's own, and the line of a configuration that names it. */
export async function bigQueryFor(t: TestContext): Promise<{ server: RunningBigQuery; endpoints: string }> {
  const dataDir = mkdtempSync(join(tmpdir(), 'millrace-cli-bigquery-'))
  const server = await startBigQuery({ dataDir })
  t.after(async () => {
    await server.stop()
    rmSync(dataDir, { recursive: true })
  })
  return { server, endpoints: `endpoints: { bigquery: '${server.rest}', bigquery_storage: '${server.grpc}' }` }
}
