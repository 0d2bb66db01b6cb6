import assert from 'node:assert/strict'
import { crc32, gzipSync } from 'node:zlib'
import fs, {
  appendFileSync,
  utimesSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import test from 'node:test'
import { follow, followFramed, readAll } from '../../test/support/following.ts'
import { Events } from '../../shared/framing/index.ts'
import type { Entry } from '../publish/index.ts'
import { Follower } from './follower.ts'
import { baseId } from './identity.ts'
import { Scratch } from './reader.ts'
import { LogPattern } from './scan.ts'

void test('an inode that another log has by now is followed as a file of that log', async (t) => {
  const { folder, follower } = follow(t, 'visits.log', 'payments.log')
  const [visits, payments] = [join(folder, 'visits.log'), join(folder, 'payments.log')]
  writeFileSync(visits, 'a visit\n')
  await follower.look()
  // As after a deletion and a creation that got the same inode.
  renameSync(visits, payments)
  writeFileSync(payments, 'a payment\nanother\n')
  await follower.look()
  assert.deepEqual(
    [...follower.sources.values()].map(({ log }) => log.route),
    ['payments.log'],
  )
})

void test('an inode of a finished file that is used again is a new source, and nothing is said to be lost', async (t) => {
  const { folder, follower, reports } = follow(t, 'app.log')
  writeFileSync(join(folder, 'app.log.1'), 'one\ntwo\n')
  writeFileSync(join(folder, 'app.log'), 'three\n')
  await follower.look()
  assert.deepEqual(await readAll(follower), ['one', 'two', 'three'])
  writeFileSync(join(folder, 'app.log.1'), 'four\n')
  await follower.look()
  assert.deepEqual(await readAll(follower), ['four'])
  assert.deepEqual([...reports.values()], [])
})

void test('what a file held beyond the place when it was truncated is named, once', async (t) => {
  const { folder, follower, reports } = follow(t, 'app.log')
  writeFileSync(join(folder, 'app.log'), 'one\ntwo\n')
  await follower.look()
  writeFileSync(join(folder, 'app.log'), 'three\n')
  await follower.look()
  await follower.look()
  assert.deepEqual(await readAll(follower), ['three'])
  assert.deepEqual([...reports.values()], [`it changed before it was read: bytes 0 to 8 of ${folder}/app.log`])
})

void test('deleted and created again; a symbolic link that points to another file', async (t) => {
  const { folder, follower, reports } = follow(t, 'app.log', 'current')
  const path = join(folder, 'app.log')
  writeFileSync(path, 'one\n')
  mkdirSync(join(folder, 'days'))
  writeFileSync(join(folder, 'days/monday'), 'monday\n')
  symlinkSync('days/monday', join(folder, 'current'))
  await follower.look()
  assert.deepEqual((await readAll(follower)).sort(), ['monday', 'one'])
  rmSync(path)
  writeFileSync(path, 'two\n')
  writeFileSync(join(folder, 'days/monday'), 'monday\nlate\n')
  writeFileSync(join(folder, 'days/tuesday'), 'tuesday\n')
  symlinkSync('days/tuesday', join(folder, 'next'))
  renameSync(join(folder, 'next'), join(folder, 'current'))
  await follower.look()
  assert.deepEqual((await readAll(follower)).sort(), ['late', 'tuesday', 'two'])
  assert.deepEqual([...reports.values()], [])
})

void test('a compressed copy that is still being written is neither read nor complained of', async (t) => {
  const { folder, follower, reports } = follow(t, 'app.log')
  const path = join(folder, 'app.log.1')
  writeFileSync(path, 'one\ntwo\n')
  await follower.look()
  assert.deepEqual(await readAll(follower), ['one', 'two'])
  const copy = gzipSync(readFileSync(path))
  writeFileSync(`${path}.gz`, copy.subarray(0, 15))
  await follower.look()
  writeFileSync(`${path}.gz`, copy)
  rmSync(path)
  for (let i = 0; i < 3; i++) await follower.look()
  assert.deepEqual(await readAll(follower), [])
  assert.deepEqual([...reports.values()], [])
})

void test('a header of its own that a finished, forgotten file was all of is an event of the next file too', async (t) => {
  const { folder, follower } = follow(t, 'app.log')
  follower.close()
  writeFileSync(join(folder, 'app.log'), 'header\n')
  await follower.look()
  assert.deepEqual(await readAll(follower), ['header'])
  for (const entry of [...follower.entries]) follower.acknowledge({ ...entry, size: entry.position, retired: true })
  follower.adopt([...follower.entries], true)
  rmSync(join(folder, 'app.log'))
  writeFileSync(join(folder, 'app.log'), 'header\none\n')
  await follower.look()
  assert.deepEqual(await readAll(follower), ['header', 'one'])
})

void test('a log that says the same again, when what said so before is gone and retired', async (t) => {
  const { folder, follower } = follow(t, 'app.log')
  const path = join(folder, 'app.log')
  writeFileSync(path, 'done\n')
  await follower.look()
  assert.deepEqual(await readAll(follower), ['done'])
  const [followed] = follower.sources.values()
  for (const entry of [...follower.entries]) follower.acknowledge({ ...entry, size: entry.position, retired: true })
  writeFileSync(`${path}-new`, 'done\n') // while the inode of the other one is taken
  renameSync(`${path}-new`, path)
  follower.drop(followed!)
  await follower.look()
  assert.deepEqual(await readAll(follower), ['done'])
})

void test('the last event of several lines is given out when its file pauses; a restart goes on behind it', async (t) => {
  const framing = { kind: 'lines', start: '^[A-Z]', pauseMs: 60_000, maxEventBytes: 1000 } as const
  const { folder, follower } = followFramed(t, framing, 'app.log')
  const path = join(folder, 'app.log')
  const longAgo = new Date(Date.now() - 3_600_000)
  writeFileSync(path, 'A\n at 1\nB\n at 2\n')
  await follower.look()
  assert.deepEqual(await readAll(follower), ['A\n at 1'], 'B may be continued')
  utimesSync(path, longAgo, longAgo)
  const entries = [...follower.entries]
  const resumed = followFramed(t, framing, 'none')
  const later = new Follower({
    ...resumed.options,
    logs: [{ ...resumed.options.logs[0]!, route: 'app.log', pattern: new LogPattern(path) }],
  })
  t.after(() => later.close())
  later.adopt(entries, true)
  await later.look()
  assert.deepEqual(await readAll(later), ['B\n at 2'])
  appendFileSync(path, ' at 3\nC\n')
  await later.look()
  assert.deepEqual(await readAll(later), [' at 3'], 'it came too late: an event of its own')
})

void test('a file that was deleted before the first touch of Kafka is read to its end all the same', async (t) => {
  const { folder, follower } = follow(t, 'app.log*')
  writeFileSync(join(folder, 'app.log.1'), 'one\ntwo\n')
  await follower.look()
  rmSync(join(folder, 'app.log.1'))
  for (let looks = 0; looks < 3; looks++) await follower.look()
  follower.adopt([], true)
  await follower.look()
  await follower.look()
  assert.deepEqual(await readAll(follower), ['one', 'two'])
})

void test('what was written late to a finished file is read, though it was compressed before any look', async (t) => {
  const { folder, follower, options } = follow(t, 'app.log')
  const path = join(folder, 'app.log.1')
  writeFileSync(path, 'one\ntwo\n')
  writeFileSync(join(folder, 'app.log'), 'three\n')
  await follower.look()
  assert.deepEqual(await readAll(follower), ['one', 'two', 'three'])
  const compress = (bytes: string) => {
    writeFileSync(`${path}.gz`, gzipSync(bytes))
    rmSync(path, { force: true })
  }
  const nextLife = async () => {
    const next = new Follower(options)
    t.after(() => next.close())
    next.adopt([...follower.entries], true)
    await next.look()
    return [
      await readAll(next),
      next
        .rotations()
        .flat()
        .map(({ source }) => source.finished),
    ]
  }
  compress('one\ntwo\n')
  assert.deepEqual(await nextLife(), [[], [true, false]])
  compress('one\ntwo\nlate\n')
  assert.deepEqual(await nextLife(), [['late'], [true, false]])
})

void test('a glance looks at what was touched alone, until a look at everything finds what nobody has told of', async (t) => {
  const { folder, follower } = follow(t, '*.log')
  const [told, untold] = [join(folder, 'told.log'), join(folder, 'untold.log')]
  writeFileSync(told, 'one\n')
  writeFileSync(untold, 'two\n')
  const [never, atOnce] = [60_000, 0]
  await follower.glance(never)
  assert.deepEqual((await readAll(follower)).sort(), ['one', 'two'])
  const grow = async (maxAgeMs: number) => {
    appendFileSync(told, 'told\n')
    appendFileSync(untold, 'untold\n')
    follower.touch('told.log')
    await follower.glance(maxAgeMs)
    return follower
      .rotations()
      .flat()
      .filter((followed) => followed.source.hasMore)
      .map(({ file }) => file.seen.stem)
  }
  assert.deepEqual(await grow(never), ['told.log'])
  assert.deepEqual((await grow(atOnce)).sort(), ['told.log', 'untold.log'])
  await readAll(follower)
  assert.deepEqual((await grow(never)).sort(), ['told.log', 'untold.log'], 'behind a link, perhaps')
})

void test('names that somebody else has given since are taken over, those of this life are given up', async (t) => {
  const { folder, follower } = follow(t, 'app.log*')
  writeFileSync(join(folder, 'app.log.1'), '# header\none\n')
  await follower.look()
  writeFileSync(join(folder, 'app.log'), '# header\nanother\n')
  await follower.look()
  const [one, another] = follower.rotations().flat()
  assert.equal(another!.source.id, `${one!.source.id}~2`)
  // Out of touch; who adopted the agent has handed over the newer file, under the name of the older one.
  const read = readFileSync(join(folder, 'app.log'))
  const [position, crc] = [read.length, crc32(read)]
  const entry = { source: one!.source.id, position, start: 0, size: position, file: 0, retired: false }
  follower.adopt([{ ...entry, handed: { from: 0, to: position }, head: crc, tail: crc }], false)
  await follower.look()
  assert.deepEqual(await readAll(follower), ['# header', 'one'])
})

void test('a name that is not UTF-8 cannot be opened by the text of it: that is said', async (t) => {
  const { folder, follower, reports } = follow(t, '*.log')
  writeFileSync(Buffer.concat([Buffer.from(`${folder}/caf`), Buffer.from([0xe9]), Buffer.from('.log')]), 'line\n')
  await follower.look()
  assert.deepEqual([...reports.values()], [`${folder}/caf\uFFFD.log cannot be read: its name is not UTF-8`])
})

void test('a hole that takes long to read, or a line, is passed in turns; its bytes are those of an event', async (t) => {
  const { folder, follower } = follow(t, 'app.log')
  const path = join(folder, 'app.log')
  writeFileSync(path, 'first\n')
  truncateSync(path, 80 * 2 ** 20)
  appendFileSync(path, 'last\n')
  await follower.look()
  const workspace = { scratch: new Scratch(), events: new Events() }
  const { source } = follower.rotations().flat()[0]!
  const seen: string[] = []
  for (let turns = 0; turns < 9; turns++) {
    const reading = await source.read(workspace, Infinity, 64 * 1024, false)
    seen.push(reading.kind)
    if (reading.kind !== 'piece') continue
    source.accept(reading, reading.events.count)
    if (source.progress.position > 80 * 2 ** 20) break
  }
  assert.deepEqual(seen, ['piece', 'passed', 'passed', 'piece'])
})

void test('the first event behind a large hole is looked for in turns, also when the file is deleted meanwhile; others are followed', async (t) => {
  const { folder, follower } = follow(t, '*.log')
  const path = join(folder, 'truncated.log')
  writeFileSync(path, '')
  truncateSync(path, 200 * 1024 * 1024)
  appendFileSync(path, 'behind\n')
  writeFileSync(join(folder, 'other.log'), 'other\n')
  const names = () => Array.from(follower.sources.keys())
  const nameOf = (event: string) => baseId('a', '*.log', Buffer.from(event))
  await follower.look()
  assert.deepEqual(names(), [nameOf('other')])
  rmSync(path)
  for (let look = 0; look < 3; look++) await follower.look()
  assert.deepEqual(names(), [nameOf('other'), nameOf('behind')])
})

void test('what was put in the place of the bytes before the place since the last look is not read as what follows them', async (t) => {
  const { folder, follower } = follow(t, 'app.log')
  const path = join(folder, 'app.log')
  writeFileSync(path, `${'a'.repeat(500)}\n`)
  await follower.look()
  assert.deepEqual(await readAll(follower), ['a'.repeat(500)])
  const { source } = follower.rotations().flat()[0]!
  writeFileSync(path, `${'b'.repeat(500)}\nand more\n`)
  const workspace = { scratch: new Scratch(), events: new Events() }
  assert.equal((await source.read(workspace, Infinity, Infinity, false)).kind, 'lost')
})

/** As long as a file's head: by that alone it is not told which file it is. */
const BANNER = `${'#'.repeat(80)}\n`.repeat(60)
const BODY = 'the first file\n'.repeat(1000)

for (const ending of ['', '.gz'])
  void test(`files that begin with the same long header: a shorter one is no old copy of a longer one (app.log.1${ending})`, async (t) => {
    const { folder, follower } = follow(t, 'app.log')
    const path = join(folder, 'app.log')
    writeFileSync(path, BANNER + BODY)
    await follower.look()
    await readAll(follower)
    renameSync(path, `${path}.1`)
    if (ending) {
      writeFileSync(`${path}.1.gz`, gzipSync(BANNER + BODY))
      rmSync(`${path}.1`)
    }
    writeFileSync(path, `${BANNER}second\n`)
    await follower.look()
    await follower.look()
    assert.equal((await readAll(follower)).at(-1), 'second')
  })

void test('files that begin with the same long header, rotated while stopped', async (t) => {
  const { folder, follower, options } = follow(t, 'app.log')
  const path = join(folder, 'app.log')
  writeFileSync(path, BANNER + BODY)
  await follower.look()
  await readAll(follower)
  follower.close()
  renameSync(path, `${path}.3`)
  writeFileSync(`${path}.2`, `${BANNER}second\n`)
  writeFileSync(`${path}.1.gz`, gzipSync(`${BANNER}third\n`))
  writeFileSync(path, `${BANNER}fourth\n`)
  const later = new Follower(options)
  t.after(() => later.close())
  later.adopt([...follower.entries], true)
  await later.look()
  await later.look()
  const lines = (await readAll(later)).filter((line) => !BANNER.startsWith(line))
  assert.deepEqual(lines, ['second', 'third', 'fourth'])
})

void test('a log that is truncated and begins with the same long header is another source', async (t) => {
  const { folder, follower } = follow(t, 'app.log')
  const path = join(folder, 'app.log')
  writeFileSync(path, BANNER + BODY)
  await follower.look()
  await readAll(follower)
  truncateSync(path)
  writeFileSync(path, `${BANNER}second\n`)
  await follower.look()
  await follower.look()
  assert.equal((await readAll(follower)).at(-1), 'second')
})

for (const delay of [0, 1])
  void test(`a log that says the same each day: what is written today is no copy of yesterday's (compressed after ${delay} days)`, async (t) => {
    const { folder, follower } = follow(t, 'app.log')
    const path = join(folder, 'app.log')
    const twice = async () => {
      await follower.look()
      const lines = await readAll(follower)
      await follower.look()
      return [...lines, ...(await readAll(follower))]
    }
    for (let day = 1; day <= 4; day++) {
      writeFileSync(path, 'done\n')
      assert.deepEqual(await twice(), ['done'], `day ${day}`)
      for (let age = day; age > 1; age--) {
        const ending = age - 2 >= delay ? '.gz' : ''
        renameSync(`${path}.${age - 1}${ending}`, `${path}.${age}${ending}`)
      }
      renameSync(path, `${path}.1`)
      const old = `${path}.${1 + delay}`
      if (day > delay) {
        writeFileSync(`${old}.gz`, gzipSync(readFileSync(old)))
        rmSync(old)
      }
      assert.deepEqual(await twice(), [])
      // What is done needs its descriptor no more: then the compressed copy stands for it.
      for (const followed of [...follower.sources.values()])
        if (followed.source.finished && followed.file.missed > 0) follower.drop(followed)
      assert.deepEqual(await twice(), [])
      assert.equal(follower.sources.size, day, 'each file holds a source of its own')
    }
  })

for (const isRetired of [false, true]) {
  void test(`a deleted file that a frozen life has open was read by another one meanwhile, compressed${isRetired ? ', and has retired' : ''}`, async (t) => {
    const { folder, follower } = follow(t, 'app.log')
    const path = join(folder, 'app.log')
    const text = Array.from({ length: 500 }, (_, i) => `line ${i}\n`).join('')
    writeFileSync(path, text.slice(0, 2000))
    await follower.look()
    const [source] = follower.sources.keys()
    appendFileSync(path, text.slice(2000)) // from here on it is frozen
    renameSync(path, `${path}.1`)
    writeFileSync(path, 'newer\n')
    if (!isRetired) writeFileSync(`${path}.2.gz`, gzipSync(text))
    rmSync(`${path}.1`)
    const { length } = text
    const [head, tail] = [crc32(text.slice(0, 4096)), crc32(text.slice(-256))]
    const entry = { source: source!, position: length, start: 0, size: length, head, tail, file: 1, retired: isRetired }
    follower.adopt([entry], false)
    for (let look = 0; look < 3; look++) await follower.look()
    assert.deepEqual(await readAll(follower), ['newer'])
  })
}

void test('of a file that cannot be asked for nobody says that it is gone', async (t) => {
  const { folder, follower } = follow(t, 'app.log*')
  writeFileSync(join(folder, 'app.log.1'), 'one\n')
  await follower.look()
  const stat = fs.statSync
  const failing = t.mock.method(fs, 'statSync', (path: string) => {
    if (path.endsWith('.1')) throw Object.assign(new Error('EIO'), { code: 'EIO' })
    return stat(path)
  })
  syncBuiltinESMExports()
  await follower.look()
  follower.touch('another')
  await follower.glance(60_000)
  failing.mock.restore()
  syncBuiltinESMExports()
  const [followed] = follower.sources.values()
  assert.equal(followed?.file.missed, 0)
})

void test('a clock that was set back keeps no file from its end', async (t) => {
  const { folder, follower } = follow(t, 'app.log*')
  writeFileSync(join(folder, 'app.log.1'), 'one\n')
  writeFileSync(join(folder, 'app.log'), 'two\n')
  const nowMs = Date.now()
  await follower.look(nowMs + 3_600_000)
  appendFileSync(join(folder, 'app.log.1'), 'late\n')
  await follower.look(nowMs + 3_600_000)
  await follower.look(nowMs)
  const rotated = [...follower.sources.values()].find(({ file }) => file.seen.mark === '1')
  assert.equal(follower.isFinishable(rotated!, nowMs), true)
})

void test('what another life has carried of a short file counts for its head: the life after this one still knows it', async (t) => {
  const { folder, follower, options } = follow(t, 'app.log')
  const path = join(folder, 'app.log')
  const nextLife = async (entries: readonly Entry[]) => {
    const life = new Follower({ ...options, logs: [{ ...options.logs[0]!, pattern: new LogPattern(path) }] })
    t.after(() => life.close())
    life.adopt(entries, true)
    await life.look()
    return life
  }
  writeFileSync(path, 'first\n')
  await follower.look()
  const second = 's'.repeat(600) // beyond what a reading looks back
  appendFileSync(path, `${second}\n`)
  const other = await nextLife([])
  assert.deepEqual(await readAll(other), ['first', second])
  follower.adopt([...other.entries], false)
  appendFileSync(path, 'third\n')
  await follower.look()
  assert.deepEqual(await readAll(follower), ['third'])
  assert.deepEqual(await readAll(await nextLife([...follower.entries])), [])
})
