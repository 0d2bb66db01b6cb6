import test from 'node:test'
import { atEachInstant, atRandomInstants, HOWS } from '../../test/support/rotations.ts'

for (const how of HOWS) {
  for (const lines of [20, 500]) {
    for (const read of [0, 7, Infinity])
      void test(`${how} of ${lines} lines, ${read} of them read, at each instant`, () =>
        atEachInstant(how, lines, read, 200))
  }
  void test(`${how} at random instants, with lost transactions and restarts`, () => atRandomInstants(how, 1000))
}
