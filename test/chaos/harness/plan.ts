import type { Random } from '../../support/random.ts'

/** One thing that goes wrong, and when: milliseconds after the start. */
export interface Step<H> {
  readonly atMs: number
  readonly harm: H
}

/** How often something is drawn, against the others of its table (whole numbers), and how its arguments are. */
export type Draw<H> = readonly [weight: number, draw: (random: Random) => H]

/** Draws harms with pauses of up to `pauseMsMax` between them. All of it is data before anything begins: a seed says what will happen. */
export function drawSteps<H>(random: Random, forMs: number, pauseMsMax: number, table: readonly Draw<H>[]): Step<H>[] {
  const steps: Step<H>[] = []
  for (let atMs = random.below(pauseMsMax); atMs < forMs; atMs += 1 + random.below(pauseMsMax)) {
    steps.push({ atMs, harm: drawOne(random, table) })
  }
  return steps
}

export function drawOne<H>(random: Random, table: readonly Draw<H>[]): H {
  let place = random.below(table.reduce((sum, [weight]) => sum + weight, 0))
  for (const [weight, draw] of table) {
    place -= weight
    if (place < 0) return draw(random)
  }
  throw new Error('the table of harms is empty')
}

/** `a 3, b 1`, in the order of the first of each. */
export function tally(names: Iterable<string>): string {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return Array.from(counts, ([name, count]) => `${name} ${count}`).join(', ')
}
