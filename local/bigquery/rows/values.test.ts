import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseDate, parseDatetime, parseTime, unpackDatetime, unpackTime } from './civil.ts'
import { formatDecimal, parseDecimal, readLittleEndian, writeBigEndian16 } from './decimal.ts'
import { duckInterval, parseInterval } from './interval.ts'

test('decimals: text to units and back, for every value that fits', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(10n ** 38n), max: 10n ** 38n }), fc.integer({ min: 0, max: 38 }), (units, scale) => {
      assert.equal(parseDecimal(formatDecimal(units, scale), scale), units)
    }),
  )
})

test('decimals: exponents, rounding half away from zero, and texts that are none', () => {
  const cases: [string, bigint | undefined][] = [
    ['1.0000000005', 1_000_000_001n],
    ['-1.0000000005', -1_000_000_001n],
    ['1.00000000049', 1_000_000_000n],
    ['1e3', 1_000_000_000_000n],
    ['.5', 500_000_000n],
    ['5.', 5_000_000_000n],
    [' +7 ', 7_000_000_000n],
    ['1e-30', 0n],
    ['', undefined],
    ['.', undefined],
    ['1e9999', undefined],
    ['0x1', undefined],
    ['NaN', undefined],
  ]
  for (const [text, units] of cases) assert.equal(parseDecimal(text, 9), units, text)
})

test("decimals: two's complement in both directions", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 127n), max: 2n ** 127n - 1n }), (value) => {
      const big = Buffer.alloc(16)
      writeBigEndian16(value, big)
      assert.equal(readLittleEndian(Buffer.from(big.toReversed()), 0, 16), value)
    }),
  )
})

test('dates and times: real ones only', () => {
  assert.equal(parseDate('1970-01-02'), 1)
  assert.equal(parseDate('2024-02-29'), 19_782)
  for (const text of ['2023-02-29', '0000-01-01', '2024-13-01', '2024-00-01', '24-01-01', 'x'])
    assert.equal(parseDate(text), undefined, text)
  assert.equal(parseTime('1:2:3.5'), 3_723_500_000)
  for (const text of ['24:00:00', '1:60:0', '1:2:60', '1:2', '1:2:3.1234567'])
    assert.equal(parseTime(text), undefined, text)
  assert.equal(parseDatetime('1969-12-31T23:59:59.999999'), -1n)
  assert.equal(parseDatetime('2024-02-29'), 1_709_164_800_000_000n)
})

test('packed civil times: every field in its place, and rubbish refused', () => {
  const time = { hour: fc.nat(23), minute: fc.nat(59), second: fc.nat(59), micro: fc.nat(999_999) }
  fc.assert(
    fc.property(
      fc.record(time),
      fc.date({ min: new Date(-6e13), max: new Date(2.5e14), noInvalidDate: true }),
      (t, date) => {
        const packed = (BigInt(t.hour) << 32n) | (BigInt(t.minute) << 26n) | (BigInt(t.second) << 20n) | BigInt(t.micro)
        const [lo, hi] = [Number(packed & 0xffff_ffffn), Number(packed >> 32n)]
        const micros = ((t.hour * 60 + t.minute) * 60 + t.second) * 1_000_000 + t.micro
        assert.equal(unpackTime(lo, hi), micros)
        const day = (date.getUTCFullYear() << 9) | ((date.getUTCMonth() + 1) << 5) | date.getUTCDate()
        const midnight = BigInt(new Date(date).setUTCHours(0, 0, 0, 0)) * 1000n
        assert.equal(unpackDatetime(lo, ((day << 5) | hi) >>> 0), midnight + BigInt(micros))
      },
    ),
  )
  assert.equal(unpackTime(0, 24), undefined)
  assert.equal(unpackDatetime(0, 0), undefined)
})

test('intervals: both forms, each part with its own sign, within the ranges', () => {
  const cases: [string, string | undefined][] = [
    ['1-2 3 4:5:6', '14 months 3 days 14706000000 microseconds'],
    ['-1-2 -3 -4:5:6.5', '-14 months -3 days -14706500000 microseconds'],
    ['0-0 0 0:0:0.000001', '0 months 0 days 1 microseconds'],
    ['P1Y-2M3W4DT5H-6M7.8S', '10 months 25 days 17647800000 microseconds'],
    ['PT-0.5S', '0 months 0 days -500000 microseconds'],
    ['10000-0 3660000 87840000:0:0', '120000 months 3660000 days 316224000000000000 microseconds'],
    ['10000-1 0 0:0:0', undefined],
    ['0-0 3660001 0:0:0', undefined],
    ['P', undefined],
    ['PT', undefined],
    ['1 day', undefined],
  ]
  for (const [text, expected] of cases) {
    const interval = parseInterval(text)
    assert.equal(interval && duckInterval(interval), expected, text)
  }
})
