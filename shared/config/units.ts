import * as z from 'zod'

const MS_PER: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const BYTES_PER: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }

/** A duration such as `250ms`, `60s`, `10m`, `1h` or `7d`, parsed to milliseconds. */
export function duration(least = '0ms', most?: string): z.ZodType<number, string> {
  return quantity(MS_PER, 'a duration such as 250ms, 60s, 10m, 1h or 7d', least, most)
}

/** A size such as `512B`, `64KiB`, `1MiB` or `1GiB`, parsed to bytes. */
export function size(least = '1B', most?: string): z.ZodType<number, string> {
  return quantity(BYTES_PER, 'a size such as 512B, 64KiB, 1MiB or 1GiB', least, most)
}

function quantity(unitOf: Readonly<Record<string, number>>, error: string, least: string, most?: string) {
  const form = new RegExp(`^([0-9]{1,12}(?:\\.[0-9]{1,6})?)\\s*(${Object.keys(unitOf).join('|')})$`)
  const parse = (text: string) => {
    const [, amount = '', unit = ''] = form.exec(text) ?? []
    return Math.round(Number(amount) * (unitOf[unit] ?? Number.NaN))
  }
  const amount = z.string({ error }).regex(form, { error }).transform(parse)
  const enough = amount.refine((given) => given >= parse(least), { error: `at least ${least}` })
  return most ? enough.refine((given) => given <= parse(most), { error: `at most ${most}` }) : enough
}
