import test from 'node:test'
import { CASES, runCase } from '../support/agent-matrix.ts'

/** One case of each kind; all of them, live ones too, run in matrix.long.test.ts. */
const REPRESENTATIVE = [
  ['app.log', 'a burst of rotations between two looks'],
  ['app.log', 'two rotations while stopped'],
  ['app.log*', 'copytruncate while stopped, regrown beyond the old position'],
  ['app.log', 'killed, then rotated'],
  ['app.log*', 'truncated and regrown between two looks'],
  ['app.log', 'the unread tail is only in a compressed copy'],
] as const

for (const [pattern, name] of REPRESENTATIVE) {
  void test(`${pattern}: ${name}`, (t) => runCase(t, CASES[name]!, pattern))
}
