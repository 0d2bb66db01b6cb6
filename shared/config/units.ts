import * as z from 'zod'

const MS_PER: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const BYTES_PER: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }

/** A duration such as `250ms`, `60s`, `10m`, `1h` or `7d`, parsed to milliseconds. */
export function duration(msMin = 0): z.ZodType<number, string> {
  return quantity(MS_PER, 'a duration such as 250ms, 60s, 10m, 1h or 7d', msMin, Infinity)
}

/** A size such as `512B`, `64KiB`, `1MiB` or `1GiB`, parsed to bytes. */
export function size(bytesMin = 1, bytesMax = Infinity): z.ZodType<number, string> {
  return quantity(BYTES_PER, 'a size such as 512B, 64KiB, 1MiB or 1GiB', bytesMin, bytesMax)
}

function quantity(
  unitOf: Readonly<Record<string, number>>,
  expected: string,
  min: number,
  max: number,
): z.ZodType<number, string> {
  const form = new RegExp(`^([0-9]{1,12}(?:\\.[0-9]{1,6})?)\\s*(${Object.keys(unitOf).join('|')})$`)
  const text = (amount: number) => {
    const [unit = '', each = 1] = Object.entries(unitOf).findLast(([, one]) => amount % one === 0) ?? []
    return `${amount / each}${unit}`
  }
  return z
    .string({ error: expected })
    .regex(form, { error: expected })
    .transform((given) => {
      const [, amount = '', unit = ''] = form.exec(given) ?? []
      return Math.round(Number(amount) * (unitOf[unit] ?? Number.NaN))
    })
    .refine((amount) => amount >= min, { error: `at least ${text(min)}` })
    .refine((amount) => amount <= max, { error: `at most ${text(max)}` })
}
