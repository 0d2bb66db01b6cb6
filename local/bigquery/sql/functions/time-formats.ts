import { errorAt, type Position } from '../errors.ts'
import { quote } from '../translate/literals.ts'

/** Format elements: https://cloud.google.com/bigquery/docs/reference/standard-sql/format-elements */
const ELEMENT = /%(E\*S|E#?\dS|E4Y|Ez|[A-Za-z%])/g

/** Elements that stand for others. */
const EXPANSIONS: Readonly<Record<string, string>> = {
  c: '%a %b %e %H:%M:%S %Y',
  D: '%m/%d/%y',
  F: '%Y-%m-%d',
  h: '%b',
  R: '%H:%M',
  r: '%I:%M:%S %p',
  T: '%H:%M:%S',
  X: '%H:%M:%S',
  x: '%m/%d/%y',
  E4Y: '%Y',
}
/** Elements that DuckDB's strftime has with the same meaning. */
const SAME = new Set([...'AaBbdHIjMmpSUWwYyGuV'])

/** A moment while it is formatted. */
export interface Moment {
  /** DuckDB text of the wall clock, a TIMESTAMP. */
  local: string
  /** DuckDB text of the instant, for the elements that need one; absent for DATE, TIME and DATETIME. */
  instant?: string
  /** DuckDB text of the zone; absent: UTC. */
  zone?: string
}

const COMPUTED: Readonly<Record<string, (moment: Moment) => string | undefined>> = {
  C: ({ local }) => `lpad(CAST(date_part('year', ${local}) // 100 AS VARCHAR), 2, '0')`,
  e: ({ local }) => `lpad(CAST(date_part('day', ${local}) AS VARCHAR), 2, ' ')`,
  g: ({ local }) => `lpad(CAST(date_part('isoyear', ${local}) % 100 AS VARCHAR), 2, '0')`,
  k: ({ local }) => `lpad(CAST(date_part('hour', ${local}) AS VARCHAR), 2, ' ')`,
  l: ({ local }) => `lpad(CAST((date_part('hour', ${local}) + 11) % 12 + 1 AS VARCHAR), 2, ' ')`,
  n: () => 'chr(10)',
  t: () => 'chr(9)',
  P: ({ local }) => `lower(strftime(${local}, '%p'))`,
  Q: ({ local }) => `CAST(date_part('quarter', ${local}) AS VARCHAR)`,
  s: ({ instant }) => instant && `CAST(epoch_us(${instant}) // 1000000 AS VARCHAR)`,
  Z: ({ instant, zone }) => (instant !== undefined && zone === undefined ? "'UTC'" : undefined),
  z: (moment) => offset(moment, ''),
  Ez: (moment) => offset(moment, ':'),
  'E*S': ({ local }) => `rtrim(rtrim(strftime(${local}, '%S.%f'), '0'), '.')`,
}

function offset({ local, instant, zone }: Moment, colon: string): string | undefined {
  if (instant === undefined) return undefined
  if (zone === undefined) return `'+00${colon}00'`
  const minutes = `((epoch_us(${local}) - epoch_us(${instant})) // 60000000)`
  return `(CASE WHEN ${minutes} < 0 THEN '-' ELSE '+' END || printf('%02d${colon}%02d', abs(${minutes}) // 60, abs(${minutes}) % 60))`
}

/** `+00`, `-08`, `+05:30`: how a zone stands in the text of a TIMESTAMP. */
export function shortOffset(moment: Moment): string {
  return `regexp_replace(${offset(moment, ':') ?? "''"}, ':00$', '')`
}

/** The text of a moment by a literal format. */
export function formatMoment(format: string, moment: Moment, at: Position): string {
  const pieces: string[] = []
  let pending = ''
  const flush = () => {
    if (pending !== '')
      pieces.push(pending.includes('%') ? `strftime(${moment.local}, ${quote(pending)})` : quote(pending))
    pending = ''
  }
  for (const part of split(expand(format))) {
    if (typeof part === 'string') pending += part.replaceAll('%', '%%')
    else if (part.element === '%') pending += '%%'
    else if (SAME.has(part.element)) pending += `%${part.element}`
    else {
      flush()
      pieces.push(computed(part.element, moment, at))
    }
  }
  flush()
  return pieces.length === 0 ? "''" : `(${pieces.join(' || ')})`
}

function computed(element: string, moment: Moment, at: Position): string {
  const digits = /^E#?(\d)S$/.exec(element)?.[1]
  const sql = digits === undefined ? COMPUTED[element]?.(moment) : fixedFraction(moment.local, Number(digits))
  if (sql === undefined) throw errorAt(`Not supported by the local BigQuery: the format element %${element} here`, at)
  return sql
}

function fixedFraction(local: string, digits: number): string {
  return digits === 0
    ? `strftime(${local}, '%S')`
    : `substr(strftime(${local}, '%S.%f'), 1, ${3 + Math.min(digits, 6)})`
}

function expand(format: string): string {
  return format.replace(ELEMENT, (all, element: string) => EXPANSIONS[element] ?? all)
}

function* split(format: string): Generator<string | { element: string }> {
  let from = 0
  for (const found of format.matchAll(ELEMENT)) {
    if (found.index > from) yield format.slice(from, found.index)
    yield { element: found[1] ?? '' }
    from = found.index + found[0].length
  }
  if (from < format.length) yield format.slice(from)
}

const PARSED = new Set([...'AaBbdHIjMmpSYyz'])

/** The formats of DuckDB's strptime that read what this one reads: with and without a fraction of the second. */
export function parseFormats(format: string, at: Position): string[] {
  let texts = ['']
  for (const part of split(expand(format))) {
    const pieces = typeof part === 'string' ? [part.replaceAll('%', '%%')] : parsedElement(part.element, at)
    texts = pieces.flatMap((piece) => texts.map((text) => text + piece))
  }
  return texts
}

function parsedElement(element: string, at: Position): string[] {
  if (element === '%') return ['%%']
  if (element === 'e') return ['%d']
  if (element === 'k') return ['%H']
  if (element === 'Ez') return ['%z']
  if (element === 'Z') return ['UTC', 'GMT']
  if (/^E(\*|#?\d)S$/.test(element)) return ['%S.%f', '%S']
  if (PARSED.has(element)) return [`%${element}`]
  throw errorAt(`Not supported by the local BigQuery: parsing the format element %${element}`, at)
}
