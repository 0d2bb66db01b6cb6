import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, afterEach, before } from 'node:test'
import { type ApiError, type Bucket, CRC32C, type CreateResumableUploadOptions, type File } from '@google-cloud/storage'
import { StorageProcess } from './storage-process.ts'

export const KIB = 1024
/** What every part of a resumable upload but the last is a multiple of, in bytes. */
export const PART = 256 * KIB

/** The server of a test file, and its bucket seen by a client without retries. */
export let server: StorageProcess
export let bucket: Bucket

/**
 * Gives a test file a server of its own, and kills it with kill -9 between any two of its tests: every object must then
 * be as it was.
 */
export function serveStorage(): void {
  before(async () => {
    server = await StorageProcess.start()
    ;[bucket] = await server.client().createBucket('conformance-bucket')
  })
  afterEach(async () => {
    await server.faults.clear()
    const acknowledged = await inventory()
    await server.killAndRestart()
    assert.deepEqual(await inventory(), acknowledged)
  })
  after(() => server.dispose())
}

/** Everything that can be seen of every object. */
async function inventory() {
  bucket = server.client().bucket('conformance-bucket')
  const [files] = await bucket.getFiles()
  return files.map(({ metadata }) => metadata)
}

/** Bytes that differ from place to place and from seed to seed. */
export const bytesOf = (length: number, seed = 1) =>
  Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 17 + (i >> 8)) & 0xff))
export const md5Of = (bytes: Buffer) => createHash('md5').update(bytes).digest('base64')

export function crcOf(bytes: Buffer): string {
  const crc = new CRC32C()
  crc.update(bytes)
  return crc.toString()
}

/** The status of the error that a call is refused with. */
export async function statusOf(call: Promise<unknown>): Promise<number | string | undefined> {
  try {
    await call
    return 200
  } catch (error) {
    return (error as ApiError).code
  }
}

export async function save(name: string, bytes: Buffer, options: Parameters<File['save']>[1] = {}): Promise<File> {
  const file = bucket.file(name)
  await file.save(bytes, { resumable: false, ...options })
  return file
}

export async function content(name: string): Promise<Buffer> {
  const [bytes] = await bucket.file(name).download()
  return bytes
}

/** A request of the resumable protocol itself, to the session that the client opened. */
export function put(uri: string, range: string, body?: Buffer, headers: Record<string, string> = {}) {
  return fetch(uri, {
    method: 'PUT',
    headers: { 'content-range': range, ...headers },
    ...(body ? { body: new Uint8Array(body) } : {}),
  })
}

export async function openSession(name: string, options: CreateResumableUploadOptions = {}): Promise<string> {
  const [uri] = await bucket.file(name).createResumableUpload(options)
  return uri
}
