import { test } from 'node:test'
import fc from 'fast-check'
import { checkMerge, checkSample } from '../../test/support/codec-properties.ts'
import { samples } from '../../test/support/random-messages.ts'

// Some thousand messages; `npm run fuzz -- codec` has more time.
test("rows equal the slow mapper's, from both forms of a message, for schemas of all kinds", () => {
  fc.assert(fc.property(samples, checkSample), { numRuns: 1000 })
})

test('messages behind each other are merged as protobuf has it', () => {
  fc.assert(fc.property(samples, checkMerge), { numRuns: 500 })
})
