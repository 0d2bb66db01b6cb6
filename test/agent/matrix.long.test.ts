import test from 'node:test'
import { CASES, runCase } from '../support/agent-matrix.ts'

for (const pattern of ['app.log', 'app.log*']) {
  for (const [name, act] of Object.entries(CASES)) {
    void test(`${pattern}: ${name}`, (t) => runCase(t, act, pattern))
  }
}
