import { compile } from './compile.ts'
import { decimal, POWERS, readDecimal } from './numbers.ts'
import { AFTER, AT, CLOSED, Op, type Plan, type PlainMembers, SEPARATOR, type Slot } from './plan.ts'

/** Wider records would make a function that V8 does not optimize: the values of their other members are read elsewhere. */
const VALUES_MAX = 150
const MEMBERS_MAX = 600
const TAG_MAX = 0x3fff
/** A tag, the longest number, and the words that are written beyond a text. */
const ROOM = 32
/** A double takes at most so much more in the row than the member in JSON. */
const DOUBLE_GROWTH = 4

/** Makes the PlainMembers of a plan and those within it, where code can be made. */
export function compilePlainMembers(plan: Plan): void {
  const { present, nulls, progress, next } = plan
  const given = { present, nulls, progress, next, readDecimal, decimal, POWERS }
  plan.plainMembers = compile<PlainMembers>(source(plan), given) ?? plan.plainMembers
  for (const slot of plan.slots) if (slot.op === Op.MESSAGE) compilePlainMembers(slot.plan)
}

/** For each word of the bits of a plan. */
const eachWord = ({ present }: Plan, text: (k: number) => string) => Array.from(present, (_, k) => text(k)).join('; ')

// p: where a member begins, later its value; q: behind the value before it; r: in the value; i: the member before, plus one.
function source(plan: Plan): string {
  const slots = plan.slots.slice(0, MEMBERS_MAX)
  const room = ROOM + DOUBLE_GROWTH * slots.filter((slot) => slot.op === Op.DOUBLE).length
  return `function plainMembers(bytes, view, start, end, out) {
  if (out.length + end - start + ${room} > out.bytes.length) out.reserve(end - start + ${room})
  const into = out.view
  let p = start, q = start, r = 0, o = out.length, at = ${SEPARATOR}, i = progress[${AFTER}]
  let w = 0, m = 0, n = 0, c = 0, d = 0
  ${eachWord(plan, (k) => `let n${k} = nulls[${k}], s${k} = present[${k}] | n${k}`)}
  members: for (;;) {
    if (p >= end) break
    if (i !== 0) {
      if (bytes[p] !== 44) {
        if (bytes[p] === 125) { at = ${CLOSED}; q = p + 1 }
        break
      }
      p++
    }
    switch (next[i]) {${slots
      .filter((slot) => namesOf(slot).length > 0)
      .map((slot) => member(slot, plan))
      .join('')}
      default: break members
    }
  }
  progress[${AFTER}] = i
  progress[${AT}] = at
  ${eachWord(plan, (k) => `present[${k}] = s${k} & ~n${k}; nulls[${k}] = n${k}`)}
  out.length = o
  return at < 0 ? q : p
}`
}

function member(slot: Slot, plan: Plan): string {
  const { index } = slot
  const word = index >> 5
  const bit = 1 << (index & 31)
  const value =
    index < VALUES_MAX && slot.tag <= TAG_MAX && !slot.repeated && slot.oneof < 0 ? valueOf(slot) : undefined
  const head = `
      case ${index}:
        if (bytes[p] === 32) p++
        ${names(slot, plan)} else break members
        if (bytes[p] === 32) p++
        if (p >= end || (s${word} & ${bit}) !== 0) break members`
  const elsewhere = `at = ${index}; break members`
  if (value === undefined) return `${head}\n        ${elsewhere}`
  return `${head}
        value: {
          odd: {
            ${value}
            break value
          }
          r = p + 4
          if (view.getInt32(p, true) !== ${NULL} || r >= end) { ${elsewhere} }
          n${word} |= ${bit}
        }
        if (r >= end) { ${elsewhere} }
        p = q = r
        s${word} |= ${bit}
        i = ${index + 1}
        if (bytes[p] !== 44 || next[${index + 1}] !== ${index + 1}) continue
        p++`
}

const NULL = wordAt(Buffer.from('null'), 0)

function wordAt(bytes: Buffer, at: number): number {
  return bytes.readInt32LE(at)
}

/** None: the record is the entry of a map. */
const namesOf = ({ name, proto }: Slot) => proto?.jsonNames ?? [name]

/** Steps over the name, in any of its forms, and the colon behind it. */
function names(slot: Slot, plan: Plan): string {
  return namesOf(slot)
    .map((form) => {
      const text = Buffer.from(`"${form}":`)
      return `if (${isText(text, plan.foldsCase)}) { p += ${text.length} }`
    })
    .join(' else ')
}

/** Whether a text is at p; letters in either case when they are folded. */
function isText(text: Buffer, fold: boolean): string {
  const mask = Buffer.from(text.map((c) => (fold && (c | 0x20) >= 0x61 && (c | 0x20) <= 0x7a ? 0x20 : 0)))
  const places = Array.from({ length: Math.ceil(text.length / 4) }, (_, k) => Math.min(4 * k, text.length - 4))
  return places
    .map((at) => {
      const bits = wordAt(mask, at)
      const read = `view.getInt32(p + ${at}, true)`
      return `${bits === 0 ? read : `(${read} | ${bits})`} === ${wordAt(text, at) | bits}`
    })
    .join(' && ')
}

/** Writes tag and value from p on, or breaks `odd`; sets r to the position behind it. undefined: it is read elsewhere. */
function valueOf(slot: Slot): string | undefined {
  switch (slot.op) {
    case Op.STRING:
      return string(slot.tag)
    case Op.INT64:
    case Op.UINT64:
      return whole(slot.tag, '')
    case Op.INT32:
      return whole(slot.tag, ' || d > 0x7fffffff')
    case Op.UINT32:
      return whole(slot.tag, ' || d > 0xffffffff')
    case Op.DOUBLE:
      return `r = readDecimal(bytes, p, end)
            if (r < 0) break odd
            ${tag(slot.tag)}
            into.setFloat64(o, decimal[1] === 0 ? decimal[0] : decimal[0] / POWERS[decimal[1]], true)
            o += 8`
    case Op.BOOL:
      return `w = view.getInt32(p, true)
            if (w === ${wordAt(Buffer.from('true'), 0)}) r = p + 4
            else if (w === ${wordAt(Buffer.from('fals'), 0)} && bytes[p + 4] === 101) r = p + 5
            else break odd
            ${tag(slot.tag)}
            into.setInt8(o++, p + 5 - r)`
    default:
      return undefined
  }
}

const tag = (value: number) =>
  value < 128
    ? `into.setInt8(o++, ${value})`
    : `into.setInt16(o, ${(value & 127) | 128 | ((value >> 7) << 8)}, true); o += 2`

/** Up to 127 characters of ASCII without escapes, copied while the quote is looked for (see specialOf in strings.ts). */
function string(slotTag: number): string {
  const head = slotTag < 128 ? 2 : 3
  return `if (bytes[p] !== 34) break odd
            r = p + 1
            for (n = o + ${head}; ; n += 4) {
              w = view.getInt32(r, true)
              into.setInt32(n, w, true)
              c = w ^ 0x22222222
              m = w ^ 0x5c5c5c5c
              m = (((c - 0x01010101) & ~c) | ((m - 0x01010101) & ~m) | (w - 0x20202020) | w) & 0x80808080
              if (m !== 0) break
              r += 4
              if (r >= end) break odd
            }
            r += (31 - Math.clz32(m & -m)) >> 3
            n = r - p - 1
            if (bytes[r] !== 34 || n > 127) break odd
            ${tag(slotTag)}
            into.setInt8(o, n)
            o += n + 1
            r++`
}

/** Up to 15 digits without sign, point and exponent. */
function whole(slotTag: number, beyond: string): string {
  return `c = bytes[p] - 48
            if (c >>> 0 > 9) break odd
            w = c
            for (r = p + 1; (c = bytes[r] - 48) >>> 0 < 10 && r < p + 9; r++) w = (w * 10 + c) | 0
            d = w
            if (r === p + 9) {
              for (n = 0; (c = bytes[r] - 48) >>> 0 < 10 && r < p + 15; r++) n = (n * 10 + c) | 0
              d = w * POWERS[r - p - 9] + n
            }
            if (c >>> 0 < 10 || c === -2 || (c | 32) === 53 || (bytes[p] === 48 && r > p + 1)${beyond}) break odd
            ${tag(slotTag)}
            w = d | 0
            if (d >= 0x10000000) {
              m = Math.floor(d / 0x10000000)
              w = d - m * 0x10000000
              into.setInt32(o, (w & 127) | ((w & 0x3f80) << 1) | ((w & 0x1fc000) << 2) | ((w & 0xfe00000) << 3) | 0x80808080, true)
              o += 4
              w = m
            }
            for (; w > 127; w >>>= 7) into.setInt8(o++, (w & 127) | 128)
            into.setInt8(o++, w)`
}
