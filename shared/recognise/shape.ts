import { NumberText } from './read-values.ts'

/** What a value is: a scalar by the name of its column's type. */
type Kind = 'BOOL' | 'INT64' | 'NUMERIC' | 'FLOAT64' | 'TIMESTAMP' | 'DATETIME' | 'DATE' | 'STRING' | 'object' | 'array'

/** Different values that are counted of each column. */
export const VALUES_MAX = 1000
const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n
/** Whole digits of a NUMERIC. */
const NUMERIC_DIGITS_MAX = 29
const DAY = '\\d{4}-(?:0\\d|1[0-2])-(?:[0-2]\\d|3[01])'
const TIME = '(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?'
const TEXT_KINDS: readonly (readonly [Kind, RegExp])[] = [
  ['TIMESTAMP', new RegExp(`^${DAY}[T ]${TIME} ?(?:Z|UTC|[+-]\\d\\d(?::?\\d\\d)?)$`)],
  ['DATETIME', new RegExp(`^${DAY}[T ]${TIME}$`)],
  ['DATE', new RegExp(`^${DAY}$`)],
]
/** The years 2000 to 2099 in seconds; in milliseconds and microseconds by a factor. */
const EPOCH_SECONDS: readonly [number, number] = [946_684_800, 4_102_444_800]

/** What was seen at one place of many events: of the whole event, of a member, of the items of an array. */
export class Shape {
  /** Values that were there and not null. */
  count = 0
  nulls = 0
  /** Integers that can be a moment since 1970. */
  epochs = 0
  readonly kinds = new Set<Kind>()
  readonly values = new Set<string>()
  /** By the name in lower case: BigQuery does not tell cases apart. */
  readonly members = new Map<string, Member>()
  items: Shape | undefined

  add(value: unknown): void {
    if (value === null || value === undefined) {
      this.nulls++
      return
    }
    this.count++
    if (typeof value === 'boolean') this.kinds.add('BOOL')
    else if (typeof value === 'string') this.#text(value)
    else if (value instanceof NumberText) this.#number(value.text)
    else if (Array.isArray(value)) this.#array(value)
    else this.#object(value)
  }

  #text(value: string): void {
    this.#remember(value)
    this.kinds.add(TEXT_KINDS.find(([, form]) => form.test(value))?.[0] ?? 'STRING')
  }

  #number(text: string): void {
    this.#remember(text)
    if (!/^-?\d+$/.test(text)) this.kinds.add('FLOAT64')
    else if (BigInt(text) >= INT64_MIN && BigInt(text) <= INT64_MAX) {
      this.kinds.add('INT64')
      if (isEpoch(Number(text))) this.epochs++
    } else this.kinds.add(text.length <= NUMERIC_DIGITS_MAX ? 'NUMERIC' : 'FLOAT64')
  }

  #array(values: readonly unknown[]): void {
    this.kinds.add('array')
    this.items ??= new Shape()
    for (const value of values) this.items.add(value)
  }

  #object(value: object): void {
    this.kinds.add('object')
    const seen = new Set<string>()
    for (const [name, inner] of Object.entries(value)) {
      const key = name.toLowerCase()
      const member = this.members.get(key) ?? { name, shape: new Shape(), clashes: false }
      this.members.set(key, member)
      if (seen.has(key)) member.clashes = true
      seen.add(key)
      member.shape.add(inner)
    }
  }

  #remember(value: string): void {
    if (this.values.size < VALUES_MAX) this.values.add(value)
  }
}

/** What was seen of one key of an object. */
export interface Member {
  /** As it was spelled first. */
  readonly name: string
  readonly shape: Shape
  /** One event had it twice, in different cases. */
  clashes: boolean
}

function isEpoch(value: number): boolean {
  const [from, to] = EPOCH_SECONDS
  return [1, 1e3, 1e6].some((unit) => value >= from * unit && value < to * unit)
}
