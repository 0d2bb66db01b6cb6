import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Storage } from '@google-cloud/storage'
import type { DeliveryTarget } from '../../local/storage/index.ts'
import { freePort } from '../../local/free-port.ts'
import { faultsClient, type FaultsClient } from '../../local/faults/client.ts'

/** The local Cloud Storage in a process of its own, on one folder and one port through all its lives. */
export class StorageProcess {
  readonly dataDir: string
  #child: ChildProcess | undefined
  #port = 0
  #endpoint = ''
  #faults: FaultsClient | undefined

  readonly #targets: readonly DeliveryTarget[]

  private constructor(dataDir: string, targets: readonly DeliveryTarget[]) {
    this.dataDir = dataDir
    this.#targets = targets
  }

  static async start(targets: readonly DeliveryTarget[] = []): Promise<StorageProcess> {
    const server = new StorageProcess(await mkdtemp(join(tmpdir(), 'millrace-storage-')), targets)
    server.#port = await freePort() // one that nobody takes while it is down
    await server.launch()
    return server
  }

  get endpoint(): string {
    return this.#endpoint
  }

  get faults(): FaultsClient {
    if (!this.#faults) throw new Error('the server is not running')
    return this.#faults
  }

  /** The official client; without retries unless they are asked for, so that every answer is seen. */
  client(options: { retries?: number } = {}): Storage {
    const retries = options.retries ?? 0
    return new Storage({
      apiEndpoint: this.#endpoint,
      projectId: 'conformance',
      userAgent: 'millrace-conformance/0.1.0',
      retryOptions: { autoRetry: retries > 0, maxRetries: retries, retryDelayMultiplier: 1, maxRetryDelay: 1 },
    })
  }

  async launch(): Promise<void> {
    const serve = join(import.meta.dirname, 'storage-serve.ts')
    const child = spawn(process.execPath, [serve, this.dataDir, String(this.#port), JSON.stringify(this.#targets)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#child = child
    const lines = createInterface({ input: child.stdout })
    const [line] = (await Promise.race([once(lines, 'line'), once(child, 'exit').then(failed)])) as [string]
    const { endpoint, faults } = JSON.parse(line) as { endpoint: string; faults: string }
    this.#endpoint = endpoint
    this.#port = Number(new URL(endpoint).port)
    this.#faults = faultsClient(faults)
  }

  /** kill -9, and no more. */
  async kill(): Promise<void> {
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
  throw new Error('the storage process did not start')
}
