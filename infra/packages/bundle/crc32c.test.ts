import assert from 'node:assert/strict'
import test from 'node:test'
import { crc32c as native } from '@node-rs/crc32'
import fc from 'fast-check'
import { portableCrc32c } from './crc32c.ts'

test('the check value of RFC 3720 and of the catalogues', () => {
  assert.equal(portableCrc32c(Buffer.from('123456789')), 0xe3069283)
  assert.equal(portableCrc32c(Buffer.alloc(32)), 0x8a9136aa)
})

test('the same as the native one, for all bytes and whatever was before', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(0xffffffff), (bytes, before) => {
      assert.equal(portableCrc32c(bytes, before), native(Buffer.from(bytes), before))
    }),
  )
})
