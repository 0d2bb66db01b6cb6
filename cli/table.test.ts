import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { layOut, printRows } from './table.ts'

async function* rowsOf(...rows: object[]): AsyncGenerator<Record<string, unknown>> {
  for (const row of rows) yield { ...row }
}

async function print(asJson: boolean, ...rows: object[]): Promise<string> {
  let text = ''
  const out = new Writable({
    write(piece, _encoding, done) {
      text += String(piece)
      done()
    },
  })
  await printRows(rowsOf(...rows), out, asJson)
  return text
}

test('columns of all rows, NULL as nothing, records as JSON', () => {
  assert.equal(
    layOut([
      { a: '1', r: { x: 1 } },
      { a: '22', b: true },
    ]),
    'a   r        b\n1   {"x":1}\n22           true\n',
  )
})

test('long cells are cut', () => {
  const [, line] = layOut([{ a: 'x'.repeat(100) }]).split('\n')
  assert.equal(line, `${'x'.repeat(59)}…`)
})

test('JSON lines, one for each row', async () => {
  assert.equal(await print(true, { a: '1' }, { a: null }), '{"a":"1"}\n{"a":null}\n')
  assert.equal(await print(true), '')
})

test('a table is laid out page by page', async () => {
  const text = await print(false, ...Array.from({ length: 501 }, (_, n) => ({ n })))
  assert.equal(text.match(/^n$/gm)?.length, 2)
  assert.equal(text.split('\n').length, 501 + 2 + 1)
  assert.equal(await print(false), '')
})
