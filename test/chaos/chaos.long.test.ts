import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { spawnChaos } from './harness/spawn-chaos.ts'

void suite('one seed of chaos loses and doubles nothing', () => {
  for (const program of ['kafka', 'agent'] as const) {
    void test(program, () => {
      const { status, lastLine, output } = spawnChaos({ program, forTime: '60s' })
      assert.equal(lastLine, 'missing=0 duplicates=0', output)
      assert.equal(status, 0, output)
    })
  }
})
