import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseReadRange, parseUploadRange } from './content-range.ts'
import { globToRegExp } from './glob.ts'
import { type ListQuery, listPage } from './list.ts'
import { boundaryOf, openMultipart } from './multipart.ts'
import { compareNames, isBucketName, objectNameProblem } from './names.ts'
import { newFields, patchFields } from './object-fields.ts'

test('Content-Range of an upload, in all its forms', () => {
  const bytes = (start: number, end: number | undefined, total: number | undefined, last: boolean) => ({
    kind: 'bytes',
    start,
    end,
    total,
    last,
  })
  const known: [string | undefined, unknown][] = [
    [undefined, bytes(0, undefined, undefined, true)],
    ['bytes */*', { kind: 'status', total: undefined }],
    ['bytes */100', { kind: 'status', total: 100 }],
    ['bytes 0-99/*', bytes(0, 100, undefined, false)],
    ['bytes 0-99/200', bytes(0, 100, 200, false)],
    ['bytes 100-199/200', bytes(100, 200, 200, true)],
    ['bytes 0-*/*', bytes(0, undefined, undefined, true)],
    ['bytes 5-*/200', bytes(5, undefined, 200, true)],
  ]
  for (const [header, expected] of known) assert.deepEqual(parseUploadRange(header), expected, header)
  for (const header of [
    '',
    'bytes',
    'bytes 0--1/0',
    'bytes 5-4/10',
    'bytes 0-10/5',
    'items 0-1/2',
    'bytes a-b/c',
    'bytes 0-1',
  ]) {
    assert.equal(parseUploadRange(header), undefined, header)
  }
})

test('Range of a read', () => {
  const known: [string | undefined, unknown][] = [
    [undefined, undefined],
    ['bytes=0-9', [0, 10]],
    ['bytes=90-', [90, 100]],
    ['bytes=90-500', [90, 100]],
    ['bytes=-10', [90, 100]],
    ['bytes=-500', [0, 100]],
    ['bytes=100-', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=9-5', undefined],
    ['bytes=0-1,5-6', undefined],
    ['bytes=-', undefined],
  ]
  for (const [header, expected] of known) assert.deepEqual(parseReadRange(header, 100), expected, header)
})

test('matchGlob', () => {
  const yes: [string, string][] = [
    ['*.zst', 'a.zst'],
    ['**', 'a/b/c'],
    ['a/**/c', 'a/b/b/c'],
    ['a?c', 'abc'],
    ['[a-c]x', 'bx'],
    ['[!a-c]x', 'dx'],
    ['[]]x', ']x'],
    ['{a,b{c,d}}', 'bd'],
    ['a\\*', 'a*'],
    ['a.b+(c)', 'a.b+(c)'],
  ]
  const no: [string, string][] = [
    ['*', 'a/b'],
    ['a?c', 'a/c'],
    ['[!a]x', '/x'],
    ['a.b', 'axb'],
    ['a', 'ab'],
    ['{a,b}', 'a,b'],
  ]
  for (const [glob, name] of yes) assert.ok(globToRegExp(glob).test(name), `${glob} takes ${name}`)
  for (const [glob, name] of no) assert.ok(!globToRegExp(glob).test(name), `${glob} does not take ${name}`)
  for (const glob of ['[a', '{a', '[z-a]']) assert.throws(() => globToRegExp(glob), /Invalid matchGlob/)
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (name) =>
      globToRegExp(name.replace(/[\\*?[\]{}]/g, '\\$&')).test(name),
    ),
  )
})

const anyName = fc.string({
  unit: fc.constantFrom('a', 'b', '/', 'é', '\uffee', '\u{1f600}'),
  minLength: 1,
  maxLength: 6,
})

test('names are ordered as their UTF-8 bytes are', () => {
  fc.assert(
    fc.property(anyName, anyName, (a, b) => {
      assert.equal(Math.sign(compareNames(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)))
    }),
  )
})

test('pages of a listing together are the listing, each name and folder once', () => {
  const query = fc.record({
    prefix: fc.constantFrom('', 'a', 'a/', 'b/'),
    delimiter: fc.constantFrom('', '/', 'b'),
    includeTrailingDelimiter: fc.boolean(),
    startOffset: fc.oneof(fc.constant(''), anyName),
    endOffset: fc.oneof(fc.constant(''), anyName),
    maxResults: fc.integer({ min: 1, max: 4 }),
  })
  fc.assert(
    fc.property(fc.uniqueArray(anyName, { maxLength: 30 }), query, (names, given) => {
      const sorted = names.sort(compareNames)
      const base: ListQuery = { ...given, glob: undefined, after: undefined }
      const whole = listPage(sorted, { ...base, maxResults: 1_000 })
      const all: string[] = []
      let after: string | undefined
      do {
        const page = listPage(sorted, { ...base, after })
        assert.ok(page.names.length + page.prefixes.length <= base.maxResults || base.includeTrailingDelimiter)
        all.push(...page.names.map((name) => `name ${name}`), ...page.prefixes.map((name) => `folder ${name}`))
        after = page.next
      } while (after !== undefined)
      const expected = [...whole.names.map((name) => `name ${name}`), ...whole.prefixes.map((name) => `folder ${name}`)]
      assert.deepEqual(all.sort(), expected.sort())
      for (const name of whole.names) {
        assert.ok(name.startsWith(base.prefix) && compareNames(name, base.startOffset) >= 0)
        assert.ok(base.endOffset === '' || compareNames(name, base.endOffset) < 0)
      }
    }),
  )
})

test('a multipart body is split the same wherever the network cuts it', async () => {
  const media = Buffer.from('line\r\n--almost\r\n--bound\r\n\r\nbytes\r\n')
  const body = Buffer.concat([
    Buffer.from(
      '--bound-1\r\ncontent-type: application/json\r\n\r\n{"name":"x"}\r\n--bound-1\r\nContent-Type: text/plain\r\n\r\n',
    ),
    media,
    Buffer.from('\r\n--bound-1--\r\n'),
  ])
  for (let size = 1; size < body.length; size += 7) {
    async function* parts() {
      for (let at = 0; at < body.length; at += size) yield body.subarray(at, at + size)
    }
    const upload = await openMultipart(parts(), boundaryOf('multipart/related; boundary="bound-1"'))
    assert.deepEqual([upload.metadata, upload.contentType], [{ name: 'x' }, 'text/plain'])
    assert.deepEqual(Buffer.concat(await Array.fromAsync(upload.media)), media)
  }
  const cut = await openMultipart(once(body.subarray(0, -10)), 'bound-1')
  await assert.rejects(Array.fromAsync(cut.media), /closing boundary/)
  await assert.rejects(openMultipart(once(Buffer.from('--bound-1\r\n\r\n')), 'bound-1'), /no metadata part/)
  assert.throws(() => boundaryOf('application/json'), /multipart\/related/)
})

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

test('fields: a patch changes what it names, null takes away, wrong kinds are refused', () => {
  const before = newFields({ contentType: 'a', metadata: { x: '1', y: '2' } })
  assert.deepEqual(patchFields(before, { contentType: null, metadata: { x: null, z: 3 } }), {
    metadata: { y: '2', z: '3' },
  })
  assert.deepEqual(patchFields(before, { metadata: null }), { contentType: 'a' })
  assert.deepEqual(patchFields(before, { size: '9', generation: '1' }), before)
  assert.throws(() => newFields({ metadata: { x: {} } }), /a string is needed/)
  assert.throws(() => newFields({ metadata: 'x' }), /object of strings/)
  assert.throws(() => newFields({ temporaryHold: true }), /not built/)
})

test('names of buckets and objects', () => {
  for (const name of ['abc', 'my-logs', 'a.b-c_d']) assert.ok(isBucketName(name), name)
  for (const name of ['ab', 'Abc', '-abc', 'abc-', 'goog-x', '10.0.0.1', 'a..b', 'my-google'])
    assert.ok(!isBucketName(name), name)
  for (const name of ['a', 'a/b', ' ', '\u{1f600}']) assert.equal(objectNameProblem(name), undefined)
  for (const name of ['', '.', '..', 'a\nb', 'x'.repeat(1025), '\ud800']) assert.ok(objectNameProblem(name), name)
})
