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
const NOTHING = 'missing=0 duplicates=0'

/** A run on a machine with other things to do may have fewer harms at the moment that shows the defect. */
const RUNS_MAX = 3

void suite('a planted defect is found', () => {
  for (const { program, mutant, fails } of PLANTED) {
    void test(`${program}: ${mutant}`, () => {
      const run = () => spawnChaos({ program, forTime: '30s', mutant })
      let { status, lastLine, output } = run()
      for (let runs = 1; runs < RUNS_MAX && lastLine === NOTHING; runs++) ({ status, lastLine, output } = run())
      assert.match(lastLine, fails, output)
      assert.equal(status, 1, output)
    })
  }
})
