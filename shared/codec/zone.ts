/** Answers the seconds by which a civil time (as seconds since 1970, as if it were UTC) is ahead of UTC. */
export type Zone = (civilSeconds: number) => number

const DAY = 86_400
/** Zones change at full quarters of an hour of UTC, since the days of local mean time. */
const QUARTER = 900
/** Quarters of an hour that are remembered: log lines come back to the same few. */
const QUARTERS_MAX = 4096

const OFFSET = /^(?:Z|UT|UTC|GMT|([+-])(\d\d?)(?::?(\d\d)(?::(\d\d))?)?)$/

/** `Z`, UTC or an offset such as +01:00, +0100, +01 or +1 as seconds; NaN when it is none of these. */
export function offsetOf(text: string): number {
  const [matched, sign, hours = 0, minutes = 0, seconds = 0] = OFFSET.exec(text) ?? []
  if (matched === undefined || Number(hours) > 23 || Number(minutes) > 59) return Number.NaN
  return (sign === '-' ? -1 : 1) * (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds))
}

/** A zone by an offset, or by its name in the IANA database; undefined when there is none such. */
export function zoneOf(name: string): Zone | undefined {
  const fixed = offsetOf(name)
  if (!Number.isNaN(fixed)) return () => fixed
  let format: Intl.DateTimeFormat
  try {
    format = new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: 'longOffset' })
  } catch {
    return undefined
  }
  const quarters = new Map<number, number>()
  const at = (seconds: number): number => {
    const quarter = Math.floor(seconds / QUARTER)
    const known = quarters.get(quarter)
    if (known !== undefined) return known
    if (quarters.size === QUARTERS_MAX) quarters.clear()
    const offset = offsetAt(format, quarter * QUARTER)
    quarters.set(quarter, offset)
    return offset
  }
  return (civil) => civilOffset(civil, at)
}

/**
 * A time that comes twice in a year is the first of the two. One that is skipped is read with the offset before the
 * change (02:30 becomes 03:30). That is what RFC 5545 and java.time do, too.
 */
function civilOffset(civil: number, at: (seconds: number) => number): number {
  const before = at(civil - DAY)
  const after = at(civil + DAY)
  return at(civil - before) !== before && at(civil - after) === after ? after : before
}

function offsetAt(format: Intl.DateTimeFormat, seconds: number): number {
  const name = format.formatToParts(seconds * 1000).find(({ type }) => type === 'timeZoneName')?.value ?? ''
  return offsetOf(name.replace(/^GMT(?=.)/, ''))
}
