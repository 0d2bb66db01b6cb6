import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { BigQuery } from '@google-cloud/bigquery'
import { BigQueryWriteClient, managedwriter } from '@google-cloud/bigquery-storage'
import { credentials } from '@grpc/grpc-js'
import { OAuth2Client } from 'google-auth-library'
import { freePort } from '../../local/free-port.ts'
import { type FaultsClient, faultsClient } from '../../local/faults/client.ts'

export const PROJECT = 'conformance'

// The clients would look for a machine of Google's to ask for credentials; there is none, and none is needed.
process.env['METADATA_SERVER_DETECTION'] ??= 'none'

interface Addresses {
  rest: string
  grpc: string
  faults: string
}

/** The local BigQuery in a process of its own, on one folder and the same ports through all its lives. */
export class BigQueryProcess {
  readonly dataDir: string
  readonly #store: 'disk' | 'count'
  #child: ChildProcess | undefined
  #lines: Interface | undefined
  /** Ports that nobody takes while it is down. */
  #ports: readonly number[] = []
  #addresses: Addresses = { rest: '', grpc: '', faults: '' }
  #closers: (() => unknown)[] = []

  private constructor(dataDir: string, store: 'disk' | 'count') {
    this.dataDir = dataDir
    this.#store = store
  }

  static async start(store: 'disk' | 'count' = 'disk'): Promise<BigQueryProcess> {
    const server = new BigQueryProcess(await mkdtemp(join(tmpdir(), 'millrace-bigquery-')), store)
    const rest = await freePort()
    server.#ports = [rest, await freePort(new Set([rest]))]
    await server.launch()
    return server
  }

  get rest(): string {
    return this.#addresses.rest
  }

  get grpc(): string {
    return this.#addresses.grpc
  }

  get faults(): FaultsClient {
    return faultsClient(this.#addresses.faults)
  }

  /** The official client of the REST API; it does not retry, so that every answer is seen. */
  bigquery(): BigQuery {
    const authClient = new OAuth2Client()
    authClient.setCredentials({ access_token: 'local' })
    return new BigQuery({ projectId: PROJECT, apiEndpoint: this.rest, authClient, autoRetry: false })
  }

  /** The official client of the Storage Write API. It is closed with the process. */
  writeClient(): BigQueryWriteClient {
    const client = new BigQueryWriteClient(this.#grpcOptions())
    this.#closers.push(() => client.close())
    return client
  }

  /** The official client's managed writer. It is closed with the process. */
  writer(): managedwriter.WriterClient {
    const writer = new managedwriter.WriterClient(this.#grpcOptions())
    this.#closers.push(() => writer.close())
    return writer
  }

  #grpcOptions() {
    const [host = '', port] = this.grpc.split(':')
    return { projectId: PROJECT, apiEndpoint: host, port: Number(port), sslCreds: credentials.createInsecure() }
  }

  async launch(): Promise<void> {
    const serve = join(import.meta.dirname, 'bigquery-serve.ts')
    const child = spawn(process.execPath, [serve, this.dataDir, ...this.#ports.map(String), this.#store], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#child = child
    this.#lines = createInterface({ input: child.stdout })
    this.#addresses = JSON.parse(await this.#line()) as Addresses
  }

  async #line(): Promise<string> {
    const child = this.#child as ChildProcess
    const [line] = (await Promise.race([once(this.#lines as Interface, 'line'), once(child, 'exit').then(failed)])) as [
      string,
    ]
    return line
  }

  /** CPU seconds and the highest resident memory of this life. */
  async usage(): Promise<{ cpuSeconds: number; rssBytes: number }> {
    const line = this.#line()
    this.#child?.stdin?.write('usage\n')
    return JSON.parse(await line) as { cpuSeconds: number; rssBytes: number }
  }

  /** kill -9, and no more. */
  async kill(): Promise<void> {
    await Promise.all(this.#closers.map((close) => close()))
    this.#closers = []
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }

  async killAndRestart(): Promise<void> {
    await this.kill()
    await this.launch()
  }

  async dispose(): Promise<void> {
    await this.kill()
    await rm(this.dataDir, { recursive: true, force: true })
  }
}

function failed(): never {
  throw new Error('the BigQuery process did not start, or died')
}
