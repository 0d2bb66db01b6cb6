import { test } from 'node:test'
import fc from 'fast-check'
import { checkSample } from '../../test/support/codec-properties.ts'
import { samples } from '../../test/support/random-messages.ts'

test('rows equal the slow mapper\'s, from both forms of a message, for schemas of all kinds', () => {
  fc.assert(fc.property(samples, checkSample), { numRuns: 1000, errorWithCause: true })
})
