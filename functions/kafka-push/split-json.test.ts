import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { membersOf, splitJson } from './split-json.ts'

const blank = fc.constantFrom(undefined, 1, '\t', '\r\n ')

void suite('JSON cut where it stands', () => {
  void test('every array comes apart into the texts of its elements, however it is spaced', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), blank, (values, space) => {
        const bytes = Buffer.from(JSON.stringify(values, null, space))
        const parts = splitJson(bytes, [0, bytes.length]) ?? assert.fail('does not close')
        assert.deepEqual(
          parts.map(([from, to]) => JSON.parse(bytes.toString('utf8', from, to)) as unknown),
          JSON.parse(bytes.toString()),
        )
      }),
    )
  })

  void test('every object comes apart into its members', () => {
    const name = fc.string().filter((text) => !/["\\]/.test(JSON.stringify(text).slice(1, -1)))
    fc.assert(
      fc.property(fc.dictionary(name, fc.jsonValue(), { noNullPrototype: true }), blank, (value, space) => {
        const bytes = Buffer.from(JSON.stringify(value, null, space))
        const members = membersOf(bytes, [0, bytes.length]) ?? assert.fail('does not close')
        const parsed = members.entries().map(([key, [from, to]]) => [key, JSON.parse(bytes.toString('utf8', from, to))])
        assert.deepEqual(Object.fromEntries(parsed), JSON.parse(bytes.toString()))
      }),
    )
  })

  void test('an array that does not end where the bytes end is none', () => {
    for (const text of ['[', '[1', '["]', '[[1]', '[1] 2', '[1]]']) {
      assert.equal(splitJson(Buffer.from(text), [0, text.length]), undefined, text)
    }
    fc.assert(
      fc.property(fc.uint8Array(), (noise) => {
        const bytes = Buffer.concat([Buffer.from('['), noise])
        for (const [from, to] of splitJson(bytes, [0, bytes.length]) ?? []) assert(1 <= from && from <= to)
      }),
    )
  })
})
