import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UserError } from '../errors.ts'
import { int64 } from './numbers.ts'
import { RowBuffer } from './row-buffer.ts'
import { strptime } from './strptime.ts'

/** What a text says, as ISO 8601 with micros; undefined: it was refused. */
function reader(format: string, zone = 'Z') {
  const write = strptime(format, zone, 'test')
  return (text: string): string | undefined => {
    const bytes = Buffer.from(text)
    if (write(bytes, 0, bytes.length, new RowBuffer(64)) < 0) return undefined
    const micros = (BigInt(int64.high) << 32n) | BigInt(int64.low >>> 0)
    const rest = ((micros % 1000n) + 1000n) % 1000n
    return new Date(Number((micros - rest) / 1000n)).toISOString().replace('Z', String(rest).padStart(3, '0'))
  }
}

const READ: readonly (readonly [format: string, text: string, read: string | undefined])[] = [
  ['%d/%b/%Y:%H:%M:%S %z', '17/May/2015:10:05:03 +0000', '2015-05-17T10:05:03.000000'],
  ['%d/%b/%Y:%H:%M:%S %z', '17/may/2015:10:05:03 -0730', '2015-05-17T17:35:03.000000'],
  ['%Y-%m-%d %H:%M:%S,%f', '2024-02-29 23:59:59,123', '2024-02-29T23:59:59.123000'],
  ['%FT%T.%f%z', '2024-02-29T23:59:59.1234567Z', '2024-02-29T23:59:59.123456'],
  ['%FT%T.%f%z', '2024-02-29T23:59:59.5+01', '2024-02-29T22:59:59.500000'],
  ['%a %b %e %H:%M:%S %Y', 'Tue Mar  5 01:02:03 2024', '2024-03-05T01:02:03.000000'],
  ['%c', 'Tue Mar 15 01:02:03 2024', '2024-03-15T01:02:03.000000'],
  ['%A, %d-%B-%y %R', 'Sunday, 06-November-94 08:49', '1994-11-06T08:49:00.000000'],
  ['%a, %d %b %Y %T %Z', 'Sun, 06 Nov 1994 08:49:37 GMT', '1994-11-06T08:49:37.000000'],
  ['%F %T %Z', '2024-07-01 12:00:00 CEST', '2024-07-01T10:00:00.000000'],
  ['%F %T %Z', '2024-07-01 12:00:00 PDT', '2024-07-01T19:00:00.000000'],
  ['%F %T %Z', '2024-07-01 12:00:00 XYZ', undefined],
  ['%m/%d/%Y %I:%M:%S %p', '1/2/2024 12:00:00 AM', '2024-01-02T00:00:00.000000'],
  ['%m/%d/%Y %r', '1/2/2024 12:00:00 PM', '2024-01-02T12:00:00.000000'],
  ['%m/%d/%Y %l:%M %p', '12/31/2024  1:05 p.m.', '2024-12-31T13:05:00.000000'],
  ['%m/%d/%Y %I:%M:%S %p', '1/2/2024 13:00:00 PM', undefined],
  ['%F %H:%M %p', '2024-01-02 14:00 PM', '2024-01-02T14:00:00.000000'],
  ['%Y%j', '2024366', '2024-12-31T00:00:00.000000'],
  ['%Y%j', '2023366', undefined],
  ['%Y%j', '2023000', undefined],
  ['%s', '1700000000', '2023-11-14T22:13:20.000000'],
  ['%s.%f', '1700000000.25', '2023-11-14T22:13:20.250000'],
  ['%s%L', '1700000000123', '2023-11-14T22:13:20.123000'],
  ['%y%m%d %k:%M:%S', '680102  3:04:05', '2068-01-02T03:04:05.000000'],
  ['%y%m%d %k:%M:%S', '690102 13:04:05', '1969-01-02T13:04:05.000000'],
  ['%Y年%m月%d日 100%%', '2024年01月02日 100%', '2024-01-02T00:00:00.000000'],
  ['[%F]%n(%T)', '[2024-01-02]  (03:04:05)', '2024-01-02T03:04:05.000000'],
  ['%F %T', '2024-01-02 03:04:60', '2024-01-02T03:05:00.000000'],
  ['%F %T', '2024-01-02 24:00:00', undefined],
  ['%F %T', '2024-01-02 03:60:00', undefined],
  ['%F %T', '2023-02-29 03:00:00', undefined],
  ['%F %T', ' 2024-01-02 03:04:05', undefined],
  ['%F %T', '2024-01-02 03:04:05 ', undefined],
  ['%F %T%z', '2024-01-02 03:04:05+24:00', undefined],
  ['%d %b %Y', '01 Foo 2024', undefined],
]

test('formats', () => {
  for (const [format, text, read] of READ) assert.equal(reader(format)(text), read, `${format} ${text}`)
})

const IN_ZONES: readonly (readonly [zone: string, text: string, read: string])[] = [
  ['Europe/Berlin', '2024-01-15 12:00:00', '2024-01-15T11:00:00'],
  ['Europe/Berlin', '2024-07-15 12:00:00', '2024-07-15T10:00:00'],
  // 31 March 2024: 02:00 becomes 03:00. What is skipped is read as if the clock had not been changed.
  ['Europe/Berlin', '2024-03-31 01:59:59', '2024-03-31T00:59:59'],
  ['Europe/Berlin', '2024-03-31 02:30:00', '2024-03-31T01:30:00'],
  ['Europe/Berlin', '2024-03-31 03:00:00', '2024-03-31T01:00:00'],
  // 27 October 2024: 03:00 becomes 02:00. What comes twice is the first.
  ['Europe/Berlin', '2024-10-27 01:59:59', '2024-10-26T23:59:59'],
  ['Europe/Berlin', '2024-10-27 02:30:00', '2024-10-27T00:30:00'],
  ['Europe/Berlin', '2024-10-27 03:00:00', '2024-10-27T02:00:00'],
  ['America/New_York', '2024-03-10 02:30:00', '2024-03-10T07:30:00'],
  ['America/New_York', '2024-11-03 01:30:00', '2024-11-03T05:30:00'],
  ['Asia/Kolkata', '2024-01-15 12:00:00', '2024-01-15T06:30:00'],
  ['Asia/Kathmandu', '2024-01-15 12:00:00', '2024-01-15T06:15:00'],
  ['Australia/Lord_Howe', '2024-04-07 01:45:00', '2024-04-06T14:45:00'],
  ['Australia/Lord_Howe', '2024-10-06 02:15:00', '2024-10-05T15:45:00'],
  // Samoa had no 30 December 2011.
  ['Pacific/Apia', '2011-12-29 12:00:00', '2011-12-29T22:00:00'],
  ['Pacific/Apia', '2011-12-31 12:00:00', '2011-12-30T22:00:00'],
  ['UTC', '2024-07-15 12:00:00', '2024-07-15T12:00:00'],
  ['-0330', '2024-07-15 12:00:00', '2024-07-15T15:30:00'],
]

test('zones, with the hours that come twice or never', () => {
  for (const [zone, text, read] of IN_ZONES)
    assert.equal(reader('%F %T', zone)(text), `${read}.000000`, `${zone} ${text}`)
  assert.equal(reader('%F %T%z', 'Europe/Berlin')('2024-07-15 12:00:00Z'), '2024-07-15T12:00:00.000000')
})

test('a zone gives back every moment that it wrote', () => {
  for (const zone of ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Tehran', 'America/Sao_Paulo']) {
    const read = reader('%F %T', zone)
    const format = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' })
    for (let time = Date.UTC(1995, 0, 1); time < Date.UTC(2026, 0, 1); time += 31.3 * 3_600_000) {
      const whole = Math.floor(time / 1000) * 1000
      const text = format.format(whole)
      const told = Date.parse(`${read(text)?.slice(0, 23)}Z`)
      // Of two moments with the same text the first.
      assert.equal(format.format(told), text)
      assert.ok(told === whole || (told < whole && whole - told <= 3_600_000), `${zone} ${text}`)
    }
  }
})

test('mistakes are named', () => {
  const named = (pattern: RegExp) => (error: unknown) => error instanceof UserError && pattern.test(error.message)
  assert.throws(() => reader('%Y %Q'), named(/%Q is not known/))
  assert.throws(() => reader('%Y %'), named(/% is not known/))
  assert.throws(() => reader('%b %d %H:%M:%S'), named(/has no year/))
  assert.throws(() => reader('%%Y'), named(/has no year/))
  assert.throws(() => reader('%F %T', 'Europe/Nowhere'), named(/zone Europe\/Nowhere is not known/))
})
