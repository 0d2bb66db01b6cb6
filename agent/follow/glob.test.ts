import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseGlob } from './glob.ts'

/** Patterns for one folder level, names that match, and names that do not. */
const CASES: readonly (readonly [pattern: string, names: readonly string[], others: readonly string[]])[] = [
  ['*.log', ['app.log', 'a b.log'], ['.log', '.app.log', 'app.log.1', 'appxlog']],
  ['.*', ['.hidden'], ['plain']],
  ['app-?.log', ['app-1.log'], ['app-.log', 'app-10.log']],
  ['app[0-9].log', ['app1.log'], ['appx.log', 'app.log']],
  ['app[!0-9].log', ['appx.log'], ['app1.log']],
  ['{api,web}*.log', ['api.log', 'web-1.log'], ['db.log', '.api.log']],
  ['{a,b{1,2}}', ['a', 'b1', 'b2'], ['b', 'a1', 'ab1']],
  ['a(1)+|$,*', ['a(1)+|$,', 'a(1)+|$,x'], ['a1', 'a(1)']],
  ['x[y*', ['x[y', 'x[yz'], ['xy']],
  ['a}*', ['a}b'], ['ab']],
]

for (const [pattern, names, others] of CASES) {
  void test(pattern, () => {
    const [segment] = parseGlob(`/${pattern}`)
    assert.ok(segment instanceof RegExp)
    for (const name of names) assert.match(name, segment)
    for (const name of others) assert.doesNotMatch(name, segment)
  })
}

void test('alternatives that hold a slash are refused: they would match nothing', () => {
  assert.throws(
    () => parseGlob('/var/log/{nginx/access,app/main}.log'),
    /^SyntaxError: \{nginx has a \{ without its \}/,
  )
})

void test('folder levels', () => {
  assert.deepEqual(parseGlob('/var//log/**/a*'), ['var', 'log', '**', /^(?!\.)a[^/]*$/s])
})
