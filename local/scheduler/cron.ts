/** Times at which a job is due, in the unix-cron form that Cloud Scheduler takes. */
export interface Cron {
  /** The first minute after `afterMs` (milliseconds since 1970, UTC) that fits, or undefined: none in five years. */
  next(afterMs: number): number | undefined
}

interface Field {
  name: string
  min: number
  max: number
  names?: readonly string[]
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
const MINUTE_OF_HOUR: Field = { name: 'minute', min: 0, max: 59 }
const HOUR_OF_DAY: Field = { name: 'hour', min: 0, max: 23 }
const DAY_OF_MONTH: Field = { name: 'day of month', min: 1, max: 31 }
const MONTH_OF_YEAR: Field = { name: 'month', min: 1, max: 12, names: MONTHS }
/** 7 is Sunday too. */
const DAY_OF_WEEK: Field = { name: 'day of week', min: 0, max: 7, names: DAYS }

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
/** The rarest date, 29 February, comes back within five years but around 2100. */
const DAYS_MAX = 5 * 366

/**
 * Parses five fields: minute, hour, day of month, month, day of week; each `*`, numbers, names, lists `a,b`, ranges
 * `a-b` and steps `*\/n` or `a-b/n`. When both days are restricted, either is enough, as in cron. All times are UTC.
 * Returns the problem as a text when the expression is none.
 */
export function parseCron(expression: string): Cron | string {
  const parts = expression.trim().toLowerCase().split(/\s+/)
  if (parts.length !== 5) return `a cron expression has five fields, this has ${parts.length}: "${expression}"`
  const [minutes, hours, days, months, weekdays] = parts
  const minute = parseField(MINUTE_OF_HOUR, minutes as string)
  const hour = parseField(HOUR_OF_DAY, hours as string)
  const day = parseField(DAY_OF_MONTH, days as string)
  const month = parseField(MONTH_OF_YEAR, months as string)
  const weekday = parseField(DAY_OF_WEEK, weekdays as string)
  for (const field of [minute, hour, day, month, weekday]) if (typeof field === 'string') return field
  const [minuteSet, hourSet, daySet, monthSet, weekdaySet] = [minute, hour, day, month, weekday] as Set<number>[]
  if (!minuteSet || !hourSet || !daySet || !monthSet || !weekdaySet) return 'a field is missing'
  if (weekdaySet.has(7)) weekdaySet.add(0)
  const anyDay = (days as string).startsWith('*')
  const anyWeekday = (weekdays as string).startsWith('*')

  function isDay(date: Date): boolean {
    if (!monthSet?.has(date.getUTCMonth() + 1)) return false
    const byDate = daySet?.has(date.getUTCDate()) ?? false
    const byWeekday = weekdaySet?.has(date.getUTCDay()) ?? false
    return anyDay || anyWeekday ? byDate && byWeekday : byDate || byWeekday
  }

  return { next: (afterMs) => nextTime(afterMs, isDay, hourSet, minuteSet) }
}

function nextTime(afterMs: number, isDay: (date: Date) => boolean, hours: Set<number>, minutes: Set<number>) {
  const first = Math.floor(afterMs / MINUTE_MS) * MINUTE_MS + MINUTE_MS
  const firstDay = Math.floor(first / DAY_MS) * DAY_MS
  for (let day = firstDay; day < firstDay + DAYS_MAX * DAY_MS; day += DAY_MS) {
    if (!isDay(new Date(day))) continue
    for (let at = Math.max(day, first); at < day + DAY_MS; at += MINUTE_MS) {
      const minuteOfDay = (at - day) / MINUTE_MS
      if (hours.has(Math.floor(minuteOfDay / 60)) && minutes.has(minuteOfDay % 60)) return at
    }
  }
  return undefined
}

function parseField(field: Field, text: string): Set<number> | string {
  const values = new Set<number>()
  for (const item of text.split(',')) {
    const problem = addItem(field, item, values)
    if (problem !== undefined) return problem
  }
  return values
}

/** Adds what one item of a list stands for; returns the problem, if there is one. */
function addItem(field: Field, item: string, values: Set<number>): string | undefined {
  const problem = `"${item}" is no ${field.name}: ${field.min} to ${field.max}, *, a-b, */n or a-b/n`
  const match = /^(?:(\*)|([a-z0-9]+)(?:-([a-z0-9]+))?)(?:\/(\d+))?$/.exec(item)
  if (!match) return problem
  const [, star, from, to, every] = match
  const step = every === undefined ? 1 : Number(every)
  const start = star ? field.min : numberOf(field, from as string)
  const end =
    star || (every !== undefined && to === undefined) ? field.max : to === undefined ? start : numberOf(field, to)
  if (start === undefined || end === undefined || start > end || step < 1) return problem
  for (let value = start; value <= end; value += step) values.add(value)
  return undefined
}

function numberOf({ min, max, names }: Field, text: string): number | undefined {
  const named = names?.indexOf(text) ?? -1
  if (named >= 0) return named + min
  const value = Number(text)
  return /^\d+$/.test(text) && value >= min && value <= max ? value : undefined
}
