import { lineNumbers, lineText } from '../../support/log-writer.ts'

/** What the topic and the chunks carry of the written lines. */
export interface Lines {
  /** Written lines that nobody carries. */
  readonly missing: number
  /** Copies of written lines beyond the first. */
  readonly duplicates: number
  /** Lines that were never written, or not so. */
  readonly alien: number
}

/** Compares, by number and by content, the set of written lines with what is carried. */
export function compareCarried(values: readonly (string | null)[], written: number): Lines {
  const copies = new Uint32Array(written)
  let [alien, duplicates] = [0, 0]
  lineNumbers(values).forEach((number, i) => {
    if (!(number < written) || values[i] !== lineText(number)) alien++
    else if (copies[number]!++ > 0) duplicates++
  })
  return { missing: copies.filter((count) => count === 0).length, duplicates, alien }
}
