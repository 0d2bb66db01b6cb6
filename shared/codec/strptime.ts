import { UserError } from '../errors.ts'
import { putInt64, textOf } from './numbers.ts'
import { INVALID } from './reasons.ts'
import type { TextWriter } from './text-values.ts'
import { daysOf, monthOf, setMicros } from './time.ts'

/** What a format that leaves out a part means. */
const EPOCH = {
  year: 1970,
  month: 1,
  day: 1,
  hour: 0,
  minute: 0,
  second: 0,
  micros: 0,
  epoch: Number.NaN,
  afternoon: 0,
}
type Parts = typeof EPOCH & { offset: number }

/** What each directive matches, and what it says. */
const DIRECTIVES: Readonly<Record<string, readonly [string, (parts: Parts, text: string) => void]>> = {
  Y: ['(\\d{4})', (parts, text) => (parts.year = Number(text))],
  y: ['(\\d\\d)', (parts, text) => (parts.year = Number(text) + (Number(text) < 69 ? 2000 : 1900))],
  m: ['(\\d\\d?)', (parts, text) => (parts.month = Number(text))],
  b: ['([A-Za-z]{3})', (parts, text) => (parts.month = monthOf(Buffer.from(text), 0))],
  B: ['([A-Za-z]{3,9})', (parts, text) => (parts.month = monthOf(Buffer.from(text), 0))],
  d: ['(\\d\\d?)', (parts, text) => (parts.day = Number(text))],
  e: [' ?(\\d\\d?)', (parts, text) => (parts.day = Number(text))],
  H: ['(\\d\\d?)', (parts, text) => (parts.hour = Number(text))],
  I: ['(\\d\\d?)', (parts, text) => (parts.hour = Number(text) % 12)],
  p: ['([AaPp][Mm])', (parts, text) => (parts.afternoon = /^p/i.test(text) ? 12 : 0)],
  M: ['(\\d\\d)', (parts, text) => (parts.minute = Number(text))],
  S: ['(\\d\\d)', (parts, text) => (parts.second = Number(text))],
  f: ['(\\d{1,9})', (parts, text) => (parts.micros = Number(text.slice(0, 6).padEnd(6, '0')))],
  z: ['(Z|[+-]\\d\\d:?\\d\\d)', (parts, text) => (parts.offset = offsetOf(text))],
  Z: ['(UTC|GMT|Z)', (parts) => (parts.offset = 0)],
  s: ['(\\d{1,12})', (parts, text) => (parts.epoch = Number(text))],
  a: ['([A-Za-z]{3})', () => {}],
}
const SHORT: Readonly<Record<string, string>> = { T: '%H:%M:%S', F: '%Y-%m-%d', D: '%m/%d/%y', R: '%H:%M' }

/**
 * A writer of TIMESTAMP for texts in a strftime format.
 * @param zone of times that name none: Z, or an offset such as +01:00
 * @throws UserError for a directive or a zone that is not known
 */
export function strptime(format: string, zone: string, where: string): TextWriter {
  const whole = format.replace(/%([TFDR])/g, (_, letter: string) => SHORT[letter] ?? '')
  const setters: ((parts: Parts, text: string) => void)[] = []
  const pattern = whole.replace(/%(.)|([^A-Za-z0-9 ])/gs, (_, letter: string | undefined, sign: string | undefined) => {
    if (letter === undefined) return `\\${sign}`
    if (letter === '%') return '%'
    const directive = DIRECTIVES[letter]
    if (!directive)
      throw new UserError(
        `${where}: %${letter} is not known in a format`,
        `use %${Object.keys({ ...DIRECTIVES, ...SHORT }).join(' %')}`,
      )
    setters.push(directive[1])
    return directive[0]
  })
  const standard = offsetOf(zone)
  if (Number.isNaN(standard))
    throw new UserError(`${where}: zone ${zone} is not known`, 'write Z, or an offset such as +01:00')
  const regex = new RegExp(`^${pattern}$`)
  return (bytes, start, end, out) => {
    const match = regex.exec(textOf(bytes, start, end))
    if (!match) return INVALID
    const parts = { ...EPOCH, offset: standard }
    setters.forEach((set, index) => {
      set(parts, match[index + 1] ?? '')
    })
    return putInt64(setParts(parts), out)
  }
}

function setParts({ year, month, day, hour, minute, second, micros, offset, epoch, afternoon }: Parts): number {
  if (!Number.isNaN(epoch)) return setMicros(epoch, micros)
  const days = daysOf(year, month, day)
  if (days !== days || hour > 23 || minute > 59 || second > 60) return INVALID
  return setMicros(days * 86_400 + (hour + afternoon) * 3600 + minute * 60 + second - offset, micros)
}

function offsetOf(zone: string): number {
  const [matched, sign, hours, minutes] = /^(?:Z|UTC|GMT|([+-])(\d\d):?(\d\d))$/.exec(zone) ?? []
  if (matched === undefined) return Number.NaN
  return (sign === '-' ? -1 : 1) * (Number(hours ?? 0) * 3600 + Number(minutes ?? 0) * 60)
}
