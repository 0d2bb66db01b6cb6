import test from 'node:test'
import { atEachInstant, atRandomInstants, HOWS } from '../../test/support/rotations.ts'

/** A part of what rotations.long.test.ts tries. */
for (const how of HOWS) {
  void test(`${how} at some instants`, () => atEachInstant(how, 20, 7, 60))
  void test(`${how} at random instants, with lost transactions and restarts`, () => atRandomInstants(how, 150))
}
