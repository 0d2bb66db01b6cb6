import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileRoute, RowBuffer } from './index.ts'
import { decodeRows, NOWHERE, routeOf } from '../../test/support/rows.ts'

const combined = compileRoute(routeOf({ format: 'text', preset: 'combined' }))

function read(line: string) {
  const out = new RowBuffer(64)
  const bytes = Buffer.from(line, 'latin1')
  const rejection = combined.encode(bytes, 0, bytes.length, NOWHERE, out)
  const [row] = decodeRows(combined, out)
  if (row) delete row['millrace']
  return rejection ?? row
}

const LINE =
  '83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /a?b=c HTTP/1.1" 200 203023 "http://x/" "Mozilla/5.0 (X11)"'

test('a line of the combined format becomes its columns', () => {
  assert.deepEqual(read(LINE), {
    remote_host: '83.149.9.216',
    time: '1431857103000000',
    method: 'GET',
    path: '/a?b=c',
    protocol: 'HTTP/1.1',
    status: '200',
    bytes: '203023',
    referer: 'http://x/',
    user_agent: 'Mozilla/5.0 (X11)',
  })
})

test('what is no request line stays whole', () => {
  const row = read(LINE.replace('GET /a?b=c HTTP/1.1', '\\x16\\x03\\x01'))
  assert.equal(row && 'request' in row && row['request'], '\u0016\u0003\u0001')
})

test('a line of another form is refused', () => {
  for (const line of [
    '',
    'x',
    LINE.slice(0, -1),
    `${LINE} `,
    `${LINE} more`,
    LINE.replace('"GET', 'GET'),
    LINE.replace('200', 'x'),
  ]) {
    assert.deepEqual(
      read(line),
      { reason: 'no_match', message: 'the line does not have the form of the pattern' },
      line,
    )
  }
})
