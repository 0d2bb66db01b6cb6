import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { UserError } from '../../shared/errors.ts'
import { Journal } from './journal.ts'

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'millrace-journal-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

/** Opens a journal of numbers and gives what is in it. */
async function openNumbers(file: string) {
  let entries: number[] = []
  const journal = await Journal.open<number>({
    file,
    reset: () => void (entries = []),
    replay: (entry) => void entries.push(entry),
    snapshot: () => entries,
  })
  return { journal, entries: () => entries }
}

async function write(file: string, count: number): Promise<void> {
  const { journal } = await openNumbers(file)
  await Promise.all(Array.from({ length: count }, (_, i) => journal.append(i)))
  await journal.close()
}

test('what was appended comes back, in order', async (t) => {
  const file = join(await folder(t), 'journal')
  await write(file, 100)
  const { journal, entries } = await openNumbers(file)
  assert.deepEqual(
    entries(),
    Array.from({ length: 100 }, (_, i) => i),
  )
  await journal.close()
})

test('cut off at any byte, it opens with the lines that are whole, and goes on behind them', async (t) => {
  const file = join(await folder(t), 'journal')
  await write(file, 5)
  const whole = await readFile(file)
  for (let length = 0; length <= whole.length; length++) {
    await writeFile(file, whole.subarray(0, length))
    const { journal, entries } = await openNumbers(file)
    const lines = whole.subarray(0, length).toString().split('\n').length - 1
    assert.deepEqual(
      entries(),
      Array.from({ length: lines }, (_, i) => i),
    )
    await journal.append(77)
    await journal.close()
    assert.equal((await readFile(file, 'utf8')).split('\n').length - 1, lines + 1)
  }
})

test('a damaged line is one clear error with the file, the line and the fix', async (t) => {
  const file = join(await folder(t), 'journal')
  await write(file, 5)
  const bytes = await readFile(file)
  const third = bytes.toString().split('\n').slice(0, 2).join('\n').length + 1
  bytes[third + 9] = 0x39
  await writeFile(file, bytes)
  await assert.rejects(openNumbers(file), (error) => {
    assert.ok(error instanceof UserError)
    assert.match(error.message, /journal:3: .* is damaged: its checksum does not match/)
    assert.match(String(error.fix), /Restore this file/)
    return true
  })
})

test('it is rewritten when it has grown, and says the same', async (t) => {
  const file = join(await folder(t), 'journal')
  const big = 'x'.repeat(1024 * 1024)
  let last = ''
  const options = {
    file,
    reset: () => void (last = ''),
    replay: (entry: string) => void (last = entry),
    snapshot: () => [last],
  }
  const journal = await Journal.open<string>(options)
  for (let i = 0; i < 40; i++) {
    last = `${i}${big}`
    await journal.append(last)
  }
  await journal.close()
  assert.ok((await readFile(file)).length < 32 * big.length)
  await (await Journal.open<string>(options)).close()
  assert.equal(last, `39${big}`)
})

test('a disk that refuses a write takes back what it refused, and no more', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const file = join(await folder(t), 'journal')
  const { journal, entries } = await openNumbers(file)
  await journal.append(1)
  // The handle is replaced under the journal by one that cannot be written: as when the disk is full.
  const { FileHandle } = await handleClass(file)
  const original = FileHandle.prototype.datasync
  FileHandle.prototype.datasync = () => Promise.reject(Object.assign(new Error('no space left'), { code: 'ENOSPC' }))
  try {
    await assert.rejects(Promise.all([journal.append(2), journal.append(3)]), /no space left/)
  } finally {
    FileHandle.prototype.datasync = original
  }
  assert.deepEqual(entries(), [1])
  await journal.append(4)
  await journal.close()
  const again = await openNumbers(file)
  assert.deepEqual(again.entries(), [1, 4])
  await again.journal.close()
})

interface HandleClass {
  FileHandle: { prototype: { datasync: () => Promise<void> } }
}

async function handleClass(file: string): Promise<HandleClass> {
  const { open } = await import('node:fs/promises')
  const handle = await open(file)
  await handle.close()
  return { FileHandle: handle.constructor as unknown as HandleClass['FileHandle'] }
}
