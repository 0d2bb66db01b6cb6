import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { spawnChaos } from './harness/spawn-chaos.ts'

/** Without these a chaos program that cannot fail would look like one that has nothing to find. */
const PLANTED = [
  { program: 'kafka', mutant: 'all-landed', fails: /^missing=[1-9]\d* duplicates=\d+$/ },
  { program: 'kafka', mutant: 'none-landed', fails: /^missing=\d+ duplicates=[1-9]\d*$/ },
  { program: 'agent', mutant: 'positions-alone', fails: /^missing=[1-9]\d* duplicates=\d+$/ },
  { program: 'agent', mutant: 'events-alone', fails: /^missing=\d+ duplicates=[1-9]\d*$/ },
] as const

void suite('a planted defect is found', () => {
  for (const { program, mutant, fails } of PLANTED) {
    void test(`${program}: ${mutant}`, () => {
      const { status, lastLine, output } = spawnChaos({ program, forTime: '30s', mutant })
      assert.match(lastLine, fails, output)
      assert.equal(status, 1, output)
    })
  }
})
