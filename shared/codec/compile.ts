import { setFlagsFromString } from 'node:v8'

/**
 * V8 optimizes no function of more bytecode than this: with its own limit, 61,440 bytes, records of more than some 65 members of JSON took
 * twice as long, of more than 95 fields of protobuf six times. While it optimizes one of hundreds it takes up to 80 MB.
 */
setFlagsFromString('--max-optimized-bytecode-size=250000')

/**
 * Makes a function from source, as protobufjs does for its types, or undefined where that is not allowed (Node's
 * `--disallow-code-generation-from-strings`): the walkers then read everything in their general way, to the same rows.
 *
 * @param given what the source uses, by its name; the source itself is made of numbers and of these names only
 */
export function compile<T>(source: string, given: Readonly<Record<string, unknown>>): T | undefined {
  try {
    return new Function(...Object.keys(given), `'use strict'\nreturn ${source}`)(...Object.values(given)) as T
  } catch (error) {
    if (error instanceof EvalError) return undefined
    throw error
  }
}

/** Source for each word of the bits of a plan. */
export function eachWord(bits: Int32Array, text: (word: number, bits: number) => string, between = '; '): string {
  return Array.from(bits, (value, word) => text(word, value)).join(between)
}

/** Source for: what is needed is not all in the words `s0`, `s1`, ... */
export const lacks = (needed: Int32Array): string =>
  `(${eachWord(needed, (word, bits) => `${bits} & ~s${word}`, ' | ')}) !== 0`
