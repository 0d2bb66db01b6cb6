import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Cron, parseCron } from './cron.ts'

function cron(expression: string): Cron {
  const parsed = parseCron(expression)
  assert.ok(typeof parsed !== 'string', expression)
  return parsed
}

const next = (expression: string, after: string) => {
  const at = cron(expression).next(Date.parse(after))
  return at === undefined ? undefined : new Date(at).toISOString().slice(0, 16)
}

test('known expressions, known next times', () => {
  const known: [expression: string, after: string, next: string | undefined][] = [
    ['* * * * *', '2026-11-23T06:00:00Z', '2026-11-23T06:01'],
    ['* * * * *', '2026-11-23T06:00:59.999Z', '2026-11-23T06:01'],
    ['*/5 * * * *', '2026-11-23T23:58:00Z', '2026-11-24T00:00'],
    ['10-20/5 3 * * *', '2026-11-23T03:15:00Z', '2026-11-23T03:20'],
    ['7/20 * * * *', '2026-11-23T03:28:00Z', '2026-11-23T03:47'],
    ['0 2 * * mon-fri', '2026-11-20T02:00:00Z', '2026-11-23T02:00'],
    ['0 0 * * 7', '2026-11-23T00:00:00Z', '2026-11-29T00:00'],
    ['0 0 1,15 * *', '2026-11-23T00:00:00Z', '2026-12-01T00:00'],
    ['0 0 13 * FRI', '2026-11-23T00:00:00Z', '2026-11-27T00:00'],
    ['0 0 29 2 *', '2026-11-23T00:00:00Z', '2028-02-29T00:00'],
    ['0 0 31 2 *', '2026-11-23T00:00:00Z', undefined],
    ['30 12 1 JAN *', '2026-01-01T12:30:00Z', '2027-01-01T12:30'],
  ]
  for (const [expression, after, expected] of known) assert.equal(next(expression, after), expected, expression)
})

test('what is no cron expression is refused with the field that is wrong', () => {
  for (const expression of [
    '',
    '* * * *',
    '* * * * * *',
    '60 * * * *',
    '* 24 * * *',
    '* * 0 * *',
    '* * * 13 *',
    '* * * * 8',
    '*/0 * * * *',
    '5-1 * * * *',
    'a * * * *',
    '1,,2 * * * *',
    '-1 * * * *',
  ]) {
    assert.equal(typeof parseCron(expression), 'string', expression)
  }
  assert.match(JSON.stringify(parseCron('60 * * * *')), /60.. is no minute: 0 to 59/)
})

test('the next time is later, on the minute, and the first that fits', () => {
  const part = (max: number) =>
    fc.oneof(
      fc.constant('*'),
      fc.integer({ min: 0, max }).map(String),
      fc.integer({ min: 1, max }).map((n) => `*/${n}`),
    )
  fc.assert(
    fc.property(
      part(59),
      part(23),
      fc.date({ min: new Date('2020-01-01'), max: new Date('2040-01-01'), noInvalidDate: true }),
      (minute, hour, date) => {
        const parsed = cron(`${minute} ${hour} * * *`)
        const at = parsed.next(date.getTime())
        assert.ok(at !== undefined && at > date.getTime() && at % 60_000 === 0)
        assert.equal(parsed.next(at - 1), at)
      },
    ),
  )
})
