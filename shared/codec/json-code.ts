import { compile, eachWord, lacks } from './compile.ts'
import { putWholeSource } from './numbers.ts'
import { AFTER, AT, CLOSED, type Plan, type PlainMembers, SEPARATOR, type Slot } from './plan.ts'

/** Other values are read elsewhere: V8 must still optimize the function (compile.ts). */
const VALUES_MAX = 100
const MEMBERS_MAX = 600
const TAG_MAX = 0x3fff
/** A tag, the longest number, and the words that are written beyond a text. */
const ROOM = 32
/** A double takes at most so much more in the row than the member in JSON. */
const DOUBLE_GROWTH = 4

const POWERS = Float64Array.from({ length: 10 }, (_, k) => 10 ** k)

/** Makes the PlainMembers of a plan and those within it, where code can be made. */
export function compilePlainMembers(plan: Plan): void {
  const { present, nulls, progress, next } = plan
  const given = { plan, present, nulls, progress, next, POWERS }
  plan.plainMembers = compile<PlainMembers>(source(plan), given) ?? plan.plainMembers
  for (const slot of plan.slots) if (slot.op === 'message') compilePlainMembers(slot.plan)
}

// named: the member of which the name has been read, p being at its value; else p: where a member begins, later its
// value; q: behind the value before it; r: in the value; i: the member before, plus one.
// `| 0` and the looks before the loop save V8 checks in it, and so does that nothing is called.
function source(plan: Plan): string {
  const slots = plan.slots.filter((slot) => slot.jsonNames.length > 0).slice(0, MEMBERS_MAX)
  const room = ROOM + DOUBLE_GROWTH * slots.filter((slot) => slot.op === 'double').length
  return `function plainMembers(bytes, view, start, end, out, fresh) {
  if (out.length + end - start + ${room} > out.bytes.length) out.reserve(end - start + ${room})
  const into = out.view, stop = end | 0
  let named = fresh ? ${SEPARATOR} : progress[${AT}]
  let p = start | 0, q = p, r = 0, o = out.length | 0, at = ${SEPARATOR}, i = fresh ? 0 : progress[${AFTER}]
  let w = bytes[p] | view.getInt8(p) | into.getInt8(o), m = 0, n = 0, c = 0, d = 0
  ${eachWord(plan.needed, (k) => `let n${k} = fresh ? 0 : nulls[${k}], s${k} = fresh ? 0 : present[${k}] | n${k}`)}
  members: for (;;) {
    if (p >= stop) break
    if (named < 0 && i !== 0) {
      if (bytes[p] !== 44) {
        if (bytes[p] === 125) { at = ${CLOSED}; q = p + 1 | 0 }
        break
      }
      p = p + 1 | 0
    }
    switch (named < 0 ? next[i] : named) {${slots.map((slot) => member(slot, plan)).join('')}
      default: at = named; break members
    }
  }
  progress[${AFTER}] = i
  progress[${AT}] = at
  ${eachWord(plan.needed, (k) => `s${k} &= ~n${k}; present[${k}] = s${k}; nulls[${k}] = n${k}`)}
  plan.lacking = ${lacks(plan.needed)}
  out.length = o
  return at < 0 ? q : p
}`
}

function member(slot: Slot, plan: Plan): string {
  const { index } = slot
  const word = index >> 5
  const bit = 1 << (index & 31)
  const inline = index < VALUES_MAX && slot.tag <= TAG_MAX && !slot.repeated && slot.oneof < 0
  const value = inline ? valueOf(slot) : undefined
  const head = `
      case ${index}:
        if (named < 0) {
          if (bytes[p] === 32) p = p + 1 | 0
          ${names(slot, plan)} else break members
          if (bytes[p] === 32) p = p + 1 | 0
          if (p >= stop || (s${word} & ${bit}) !== 0) break members
        }`
  // A value behind more white space than one blank is found with its name.
  const elsewhere = `at = bytes[p] > 32 ? ${index} : named; break members`
  if (value === undefined) return `${head}\n        ${elsewhere}`
  return `${head}
        value: {
          odd: {
            ${value}
            break value
          }
          r = p + 4 | 0
          if (view.getInt32(p, true) !== ${NULL} || r >= stop) { ${elsewhere} }
          n${word} |= ${bit}
        }
        if (r >= stop) { ${elsewhere} }
        p = q = r
        named = ${SEPARATOR}
        s${word} |= ${bit}
        i = ${index + 1}
        if (bytes[p] !== 44 || next[${index + 1}] !== ${index + 1}) continue
        p = p + 1 | 0`
}

const NULL = Buffer.from('null').readInt32LE()

/** Steps over the name, in any of its forms, and the colon behind it. */
function names(slot: Slot, plan: Plan): string {
  return slot.jsonNames
    .map((form) => {
      const text = Buffer.from(`"${form}":`)
      return `if (${isText(text, plan.foldsCase)}) { p = p + ${text.length} | 0 }`
    })
    .join(' else ')
}

/** Whether a text is at p; letters in either case when they are folded. */
function isText(text: Buffer, fold: boolean): string {
  const mask = Buffer.from(text.map((c) => (fold && (c | 0x20) >= 0x61 && (c | 0x20) <= 0x7a ? 0x20 : 0)))
  const places = Array.from({ length: Math.ceil(text.length / 4) }, (_, k) => Math.min(4 * k, text.length - 4))
  return places
    .map((at) => {
      const bits = mask.readInt32LE(at)
      const read = `view.getInt32(p + ${at} | 0, true)`
      return `${bits === 0 ? read : `(${read} | ${bits})`} === ${text.readInt32LE(at) | bits}`
    })
    .join(' && ')
}

/** Writes tag and value from p on, or breaks `odd`; sets r to the position behind it. undefined: it is read elsewhere. */
function valueOf(slot: Slot): string | undefined {
  switch (slot.op) {
    case 'string':
      return string(slot.tag)
    case 'int64':
    case 'uint64':
      return whole(slot.tag, '')
    case 'int32':
      return whole(slot.tag, ' || d > 0x7fffffff')
    case 'uint32':
      return whole(slot.tag, ' || d > 0xffffffff')
    case 'double':
      return double(slot.tag)
    case 'bool':
      return `w = view.getInt32(p, true)
            if (w === ${Buffer.from('true').readInt32LE()}) r = p + 4 | 0
            else if (w === ${Buffer.from('fals').readInt32LE()} && bytes[p + 4 | 0] === 101) r = p + 5 | 0
            else break odd
            ${tag(slot.tag)}
            into.setInt8(o, p + 5 - r | 0)
            o = o + 1 | 0`
    default:
      return undefined
  }
}

const tag = (value: number) =>
  value < 128
    ? `into.setInt8(o, ${value}); o = o + 1 | 0`
    : `into.setInt16(o, ${(value & 127) | 128 | ((value >> 7) << 8)}, true); o = o + 2 | 0`

/** Up to 127 characters of ASCII without escapes, copied while the quote is looked for (see plainTextEnd). */
function string(slotTag: number): string {
  const head = slotTag < 128 ? 2 : 3
  return `if (bytes[p] !== 34) break odd
            r = p + 1 | 0
            for (n = o + ${head} | 0; ; n = n + 4 | 0) {
              w = view.getInt32(r, true)
              into.setInt32(n, w, true)
              m = ((w ^ 0x02020202) - 0x21212121 | (w ^ 0x5c5c5c5c) - 0x01010101 | w) & 0x80808080
              if (m !== 0) break
              r = r + 4 | 0
              if (r >= stop) break odd
            }
            r = r + (31 - Math.clz32(m & -m) >> 3) | 0
            n = r - p - 1 | 0
            if (bytes[r] !== 34 || n > 127) break odd
            ${tag(slotTag)}
            into.setInt8(o, n)
            o = o + n + 1 | 0
            r = r + 1 | 0`
}

/** Digits at r into a variable, up to so many; c: the byte behind them, minus 48. */
const digits = (into: string, most: string) =>
  `for (; (c = bytes[r] - 48 | 0) >>> 0 < 10 && r < ${most}; r = r + 1 | 0) ${into} = Math.imul(${into}, 10) + c | 0`

/** What is behind the digits goes on with the number; or a zero leads them. */
const isOther = (first: string) =>
  `c >>> 0 < 10 || c === -2 || (c | 32) === 53 || (bytes[${first}] === 48 && r > ${first} + 1)`

/** Up to 15 digits without sign, point and exponent. */
function whole(slotTag: number, beyond: string): string {
  return `r = p
            w = 0
            ${digits('w', 'p + 9')}
            d = w
            if (r === (p + 9 | 0)) {
              n = 0
              ${digits('n', 'p + 15')}
              d = w * POWERS[r - p - 9 | 0] + n
            }
            if (r === p || ${isOther('p')}${beyond}) break odd
            ${tag(slotTag)}
            ${putWholeSource('d', 'w', 'm')}`
}

/** Up to nine digits on each side of the point, 15 in all, without exponent: one division, correctly rounded. */
function double(slotTag: number): string {
  return `m = bytes[p] === 45 ? p + 1 | 0 : p
            r = m
            w = 0
            ${digits('w', 'm + 9')}
            d = w
            if (r === m) break odd
            if (c === -2) {
              n = r + 1 | 0
              if (bytes[m] === 48 && n - m > 2) break odd
              r = n
              w = 0
              ${digits('w', 'n + 9')}
              if (r === n || r - m > 16) break odd
              n = r - n | 0
              d = (d * POWERS[n] + w) / POWERS[n]
              if (c >>> 0 < 10 || c === -2 || (c | 32) === 53) break odd
            } else if (${isOther('m')}) break odd
            ${tag(slotTag)}
            into.setFloat64(o, d * (m === p ? 1 : -1), true)
            o = o + 8 | 0`
}
