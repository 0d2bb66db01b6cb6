import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { decodeMetadata, encodeMetadata, STATE_KEY } from './metadata.ts'
import { chunkName, parseChunkName } from './names.ts'

/** Cloud Storage allows 8 KiB of custom metadata for an object. */
const METADATA_BYTES_MAX = 8192
const SOURCE = 'abcdefghijklmnopqrstuvwxyz'
const CHUNK = {
  route: 'visits',
  format: 'json',
  framing: 'lines',
  agent: 'shop-1',
  path: '/var/log/ä b.log',
  source: SOURCE,
  start: 0,
  size: 12,
  events: 3,
  ranges: [[4, 12]] as [number, number][],
  crc32c: '0a1b2c3d',
}

void suite('names and metadata of chunks', () => {
  void test('a name says route, day of the first read, agent, source, part and format', () => {
    const firstReadMs = Date.parse('2026-01-02T23:59:59Z')
    const name = { route: 'visits', firstReadMs, agent: 'shop-1', source: SOURCE, part: 0, format: 'json' }
    assert.equal(chunkName(name), `visits/2026/01/02/shop-1/${SOURCE}.json.zst`)
    assert.equal(chunkName({ ...name, part: 2 }), `visits/2026/01/02/shop-1/${SOURCE}-2.json.zst`)
  })

  void test('a name can be read back, of shared sources and late parts too', () => {
    const day = fc.integer({ min: 0, max: 40_000 }).map((days) => days * 86_400_000)
    const source = fc.constantFrom(SOURCE, `${SOURCE}~2`)
    const name = fc.record(
      {
        route: fc.constantFrom('visits', 'a-b_c'),
        firstReadMs: day,
        agent: fc.constantFrom('host', 'h.1-x_y'),
        source,
        part: fc.nat(9),
        format: fc.constantFrom('json', 'protobuf'),
      },
      { noNullPrototype: true },
    )
    fc.assert(fc.property(name, (value) => assert.deepEqual(parseChunkName(chunkName(value)), value)))
    assert.equal(parseChunkName('web/2026/access.log.gz'), undefined)
  })

  void test('metadata come back as they were, as printable ASCII', () => {
    const encoded = encodeMetadata(CHUNK)
    assert.match(Object.values(encoded).join(''), /^[\x20-\x7e]*$/)
    assert.deepEqual(decodeMetadata(encoded), CHUNK)
    assert.deepEqual(decodeMetadata(encodeMetadata({ ...CHUNK, ranges: 'undecided' }))?.ranges, 'undecided')
  })

  void test('metadata fit, with the longest path of Linux and a state', () => {
    const bytes = Object.entries({
      ...encodeMetadata({ ...CHUNK, path: `/${'ä'.repeat(4095)}` }),
      [STATE_KEY]: 'x'.repeat(1024),
    })
      .map(([key, value]) => key.length + value.length)
      .reduce((sum, length) => sum + length, 0)
    assert(bytes < METADATA_BYTES_MAX, `${bytes} bytes`)
  })

  void test("an object without an agent's metadata is foreign; broken ones are told by key", () => {
    assert.equal(decodeMetadata({ 'other-key': 'x' }), undefined)
    assert.equal(decodeMetadata({ ...encodeMetadata(CHUNK), source: 'a key of somebody else' })?.source, CHUNK.source)
    const broken = (change: Record<string, string | undefined>) => () =>
      decodeMetadata({ ...encodeMetadata(CHUNK), ...change })
    assert.throws(broken({ 'millrace-size': '-1' }), /millrace-size is -1/)
    assert.throws(broken({ 'millrace-source': undefined }), /millrace-source is missing/)
    assert.throws(broken({ 'millrace-ranges': '[[5,4]]' }), /millrace-ranges is/)
    assert.throws(broken({ 'millrace-v': '2' }), /millrace-v is 2, this version reads 1/)
  })
})
