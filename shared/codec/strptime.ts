import { UserError } from '../errors.ts'
import { putInt64, textOf } from './numbers.ts'
import { INVALID } from './reasons.ts'
import type { TextWriter } from './text-values.ts'
import { daysOf, microsOf, monthOf, setMicros } from './time.ts'
import { offsetOf, zoneOf, type Zone } from './zone.ts'

/** What a text said; a part that the format leaves out stays. NaN: nothing. */
const NOTHING = {
  year: Number.NaN,
  month: 1,
  day: 1,
  dayOfYear: Number.NaN,
  hour: 0,
  /** By a clock of twelve hours, and which half of the day. */
  hour12: Number.NaN,
  half: 0,
  minute: 0,
  second: 0,
  micros: 0,
  epoch: Number.NaN,
  offset: Number.NaN,
}
type Parts = typeof NOTHING

/** Without a part it says nothing. @param valueOf the text of the pattern's group */
type Directive = readonly [letters: string, pattern: string, part?: keyof Parts, valueOf?: (text: string) => number]

/** Hours east of UTC of the names that RFC 2822 (4.3) and Europe's logs have for zones. */
const HOURS_EAST: Readonly<Record<string, number>> = {
  ...{ UTC: 0, GMT: 0, UT: 0, Z: 0, EST: -5, EDT: -4, CST: -6, CDT: -5, MST: -7, MDT: -6, PST: -8, PDT: -7 },
  ...{ WET: 0, WEST: 1, BST: 1, CET: 1, CEST: 2, EET: 2, EEST: 3, MSK: 3 },
}

/** What directives of strptime(3) and of Python match, and what they say; %L and %N are Ruby's and GNU's fractions. */
const LETTERS: readonly Directive[] = [
  ['Y', '(\\d{4})', 'year'],
  ['y', '(\\d\\d)', 'year', (text) => Number(text) + (Number(text) < 69 ? 2000 : 1900)],
  ['m', '(\\d\\d?)', 'month'],
  ['bBh', '([A-Za-z]{3,9})', 'month', (text) => monthOf(Buffer.from(text), 0)],
  ['de', ' ?(\\d\\d?)', 'day'],
  ['j', '(\\d{1,3})', 'dayOfYear'],
  ['Hk', ' ?(\\d\\d?)', 'hour'],
  ['Il', ' ?(\\d\\d?)', 'hour12'],
  ['p', '([AaPp])\\.?[Mm]\\.?', 'half', (text) => (/p/i.test(text) ? 12 : 0)],
  ['M', '(\\d\\d?)', 'minute'],
  ['S', '(\\d\\d?)', 'second'],
  ['fN', '(\\d{1,9})', 'micros', microsOf],
  ['L', '(\\d{3})', 'micros', microsOf],
  ['z', '(Z|[+-](?:[01]\\d|2[0-3])(?::?[0-5]\\d)?)', 'offset', offsetOf],
  ['Z', `(${Object.keys(HOURS_EAST).join('|')})`, 'offset', (text) => (HOURS_EAST[text] ?? 0) * 3600],
  ['s', '(\\d{1,12})', 'epoch'],
  ['aA', '[A-Za-z]{3,9}'],
  ['u', '[1-7]'],
  ['w', '[0-6]'],
  ['nt', '\\s+'],
]
const DIRECTIVES = new Map(LETTERS.flatMap((directive) => [...directive[0]].map((letter) => [letter, directive])))
/** Directives that stand for several. */
const SHORT: Readonly<Record<string, string>> = {
  T: '%H:%M:%S',
  F: '%Y-%m-%d',
  D: '%m/%d/%y',
  R: '%H:%M',
  r: '%I:%M:%S %p',
  c: '%a %b %e %H:%M:%S %Y',
}

/**
 * A writer of TIMESTAMP for texts in a strftime format. A space stands for one or more.
 * @param zone of times that name none: an offset such as +01:00, or a name such as Europe/Berlin
 * @throws UserError for a directive or a zone that is not known, and for a format without a year
 */
export function strptime(format: string, zone: string, where: string): TextWriter {
  const whole = format.replace(/%([A-Za-z])/g, (directive, letter: string) => SHORT[letter] ?? directive)
  const yearFix = 'let the application write one (%Y), or make the column a STRING and leave the format out'
  if (!/(?<!%)(?:%%)*%[Yys]/.test(whole)) throw new UserError(`${where}: the format ${format} has no year`, yearFix)
  const standard = zoneOf(zone)
  const zoneFix = 'write an offset such as +01:00, or Europe/Berlin'
  if (!standard) throw new UserError(`${where}: zone ${zone} is not known`, zoneFix)
  const { regex, setters } = compile(Buffer.from(whole).toString('latin1'), where)
  return (bytes, start, end, out) => {
    const match = regex.exec(textOf(bytes, start, end))
    if (!match) return INVALID
    const parts = { ...NOTHING }
    setters.forEach((set, index) => set(parts, match[index + 1] ?? ''))
    return putInt64(setParts(parts, standard), out)
  }
}

/** An expression for whole texts, and what its groups say. */
function compile(format: string, where: string) {
  const setters: ((parts: Parts, text: string) => void)[] = []
  const pattern = format.replace(
    /%(.?)|( +)|([^A-Za-z0-9])/gs,
    (_, letter?: string, spaces?: string, sign?: string) => {
      if (spaces !== undefined) return ' +'
      if (sign !== undefined) return `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`
      if (letter === '%') return '%'
      const directive = DIRECTIVES.get(letter ?? '')
      if (!directive) {
        const known = [...DIRECTIVES.keys(), ...Object.keys(SHORT)].join(' %')
        throw new UserError(`${where}: %${letter} is not known in a format`, `use %${known} %%`)
      }
      const [, expression, part, valueOf = Number] = directive
      if (part) setters.push((parts, text) => (parts[part] = valueOf(text)))
      return expression
    },
  )
  return { regex: new RegExp(`^${pattern}$`), setters }
}

function setParts(parts: Parts, zone: Zone): number {
  const { micros, epoch, minute, second, offset } = parts
  if (!Number.isNaN(epoch)) return setMicros(epoch, micros)
  const days = daysIn(parts)
  const hour = hourIn(parts)
  if (Number.isNaN(days) || Number.isNaN(hour) || minute > 59 || second > 60) return INVALID
  const civil = days * 86_400 + hour * 3600 + minute * 60 + second
  return setMicros(civil - (Number.isNaN(offset) ? zone(civil) : offset), micros)
}

function daysIn({ year, month, day, dayOfYear }: Parts): number {
  if (Number.isNaN(dayOfYear)) return daysOf(year, month, day)
  const days = daysOf(year, 1, 1) + dayOfYear - 1
  return dayOfYear >= 1 && days <= daysOf(year, 12, 31) ? days : Number.NaN
}

function hourIn({ hour, hour12, half }: Parts): number {
  if (Number.isNaN(hour12)) return hour <= 23 ? hour : Number.NaN
  return hour12 >= 1 && hour12 <= 12 ? (hour12 % 12) + half : Number.NaN
}
