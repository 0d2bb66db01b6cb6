import { compile, eachWord, lacks } from './compile.ts'
import { CHANGING_MAX, COMMON_END, type MetadataWriter, type Origin } from './metadata.ts'
import { is64, type PlainFields, type Plan, type Slot } from './plan.ts'
import { ENTRY_TAG, type RowBuffer } from './row-buffer.ts'
import { isUtf8 } from './strings.ts'

/** Other fields go the general way: V8 must still optimize the function (compile.ts). */
const FIELDS_MAX = 400
const TAG_MAX = 0x3fff

/** Makes the PlainFields of a plan and those within it, where code can be made. */
export function compilePlainFields(plan: Plan): void {
  const slots = plainSlots(plan)
  plan.plainFields = compile<PlainFields>(fieldsSource(slots, plan), givenTo(slots, plan)) ?? plan.plainFields
  for (const slot of plan.slots) if (slot.op === 'message') compilePlainFields(slot.plan)
}

/**
 * A whole row in one go, for events that are all plain: bytes[start, end), looking up to READ_AHEAD bytes further.
 * Answers false, and has done nothing, when it is not so, or `out` has not the room.
 */
export type PlainRow = (
  bytes: Buffer,
  view: DataView,
  start: number,
  end: number,
  out: RowBuffer,
  origin: Origin,
  metadata: MetadataWriter,
) => boolean

/** The PlainRow of a record whose fields may all be plain; undefined: of another, or code cannot be made here. */
export function compilePlainRow(plan: Plan): PlainRow | undefined {
  const slots = plainSlots(plan)
  return slots.length < plan.slots.length ? undefined : compile(rowSource(slots, plan), givenTo(slots, plan))
}

function plainSlots(plan: Plan): Slot[] {
  const slots = plan.slots.filter((slot) => !slot.repeated && slot.oneof < 0 && slot.verbatim && slot.tag <= TAG_MAX)
  return slots.slice(0, FIELDS_MAX).sort((a, b) => a.tag - b.tag)
}

function givenTo(slots: readonly Slot[], plan: Plan): Record<string, unknown> {
  // By tag: 1 + place in `slots`.
  const places = new Int16Array(slots.reduce((size, slot) => Math.max(size, slot.tag + 1), 256))
  slots.forEach((slot, index) => (places[slot.tag] = index + 1))
  const lengths = Uint8Array.from(plan.slots, ({ standard }) => standard?.length ?? 0)
  const heads = Int16Array.from(plan.slots, ({ standard }) => standard?.readInt16LE() ?? 0)
  return { isUtf8, places, plan, present: plan.present, lengths, heads }
}

function fieldsSource(slots: readonly Slot[], { needed }: Plan): string {
  return `function plainFields(bytes, view, start, end, out, fresh) {
  ${walk(slots, needed, (k) => `fresh ? 0 : present[${k}]`)}
  ${eachWord(needed, (k) => `present[${k}] = s${k}`)}
  plan.lacking = ${lacks(needed)}
  if (p !== stop) return p
  if (out.length + (stop - start) + 32 > out.bytes.length) out.reserve(stop - start + 32)
  const into = out.view
  let o = out.length | 0
  ${COPY}
  out.length = o
  return stop
}`
}

function rowSource(slots: readonly Slot[], plan: Plan): string {
  const { needed, slots: all } = plan
  const room = CHANGING_MAX + all.reduce((sum, { standard }) => sum + (standard?.length ?? 0), 32)
  return `function plainRow(bytes, view, start, end, out, origin, metadata) {
  ${walk(slots, needed, () => '0')}
  const mark = out.length | 0
  if (p !== stop || mark + (stop - start) + metadata.fixed.length + ${room} > out.bytes.length) return false
  const into = out.view
  let o = mark + 1 + out.lengthWidth | 0
  into.setInt8(mark, ${ENTRY_TAG})
  ${COPY}
  ${eachWord(needed, standards)}
  ${COMMON_END}
}`
}

/** Writes what stands for the absent fields of a word: a tag and zeros. One that is required has nothing. */
const standards = (word: number, bits: number) => `for (w = ${bits} & ~s${word}; w !== 0; w = w & w - 1) {
    q = ${32 * word + 31} - Math.clz32(w & -w) | 0
    r = lengths[q]
    if (r === 0) return false
    into.setInt16(o, heads[q], true)
    into.setBigInt64(o + 2 | 0, 0n, true)
    o = o + r | 0
  }`

/** Copies all, and looks and writes up to fifteen bytes further. */
const COPY = `for (p = start | 0; p < stop; p = p + 16 | 0) {
    into.setBigInt64(o, view.getBigInt64(p, true), true)
    into.setBigInt64(o + 8 | 0, view.getBigInt64(p + 8 | 0, true), true)
    o = o + 16 | 0
  }
  o = o - (p - stop) | 0`

// `text`: where text begins that is not checked yet. Tags, lengths and truths between texts are ASCII, so that one look
// does for all of them. When it finds something wrong, the fields since then are left to the general way. `| 0` and the
// look before the loop save V8 checks in it, and so does that nothing is called in the inner one.
function walk(slots: readonly Slot[], needed: Int32Array, presentAtFirst: (k: number) => string): string {
  return `const stop = end | 0
  let p = start | 0, q = 0, r = 0, w = bytes[p] | view.getInt8(p), text = p
  ${eachWord(needed, (k) => `let s${k} = ${presentAtFirst(k)}, t${k} = s${k}`)}
  for (;;) {
    fields: for (;;) {
      ${CHECK}
      ${mark(needed)}
      if (p >= stop) break
      w = bytes[p]
      // A second byte of zero would be a longer form of another tag.
      if (w > 127) w = (bytes[p + 1 | 0] - 1 >>> 0) < 127 ? (w & 127) | bytes[p + 1 | 0] << 7 : 0
      switch (places[w]) {${slots.map((slot, index) => field(slot, index, slots[index + 1], needed)).join('')}
        default: break fields
      }
    }
    if (text === p) break
    if (!isUtf8(bytes, text, p)) { p = text; ${eachWord(needed, (k) => `s${k} = t${k}`)}; break }
    text = p
  }`
}

/** All text up to here is checked. */
const mark = (needed: Int32Array) => `text = p; ${eachWord(needed, (k) => `t${k} = s${k}`)}`

/** Leaves the loop when the bytes between two places are not all ASCII; the last eight are looked at together. */
const ascii = (from: string, to: string) => `w = 0
          r = ${from}
          if ((${to} - r | 0) > 7) {
            for (; r < (${to} - 8 | 0); r = r + 8 | 0) w |= view.getInt32(r, true) | view.getInt32(r + 4 | 0, true)
            w |= view.getInt32(${to} - 8 | 0, true) | view.getInt32(${to} - 4 | 0, true)
          } else {
            if ((${to} - r | 0) > 3) { w |= view.getInt32(r, true); r = r + 4 | 0 }
            w |= view.getInt32(r, true) & (1 << (${to} - r << 3)) - 1
          }
          if ((w & 0x80808080) !== 0) break fields`

const CHECK = `if (text !== p) {
          ${ascii('text', 'p')}
        }`

/** One field, its tag being at p; goes on to the next one when that follows. */
function field(slot: Slot, index: number, next: Slot | undefined, needed: Int32Array): string {
  const word = `s${slot.index >> 5}`
  const bit = 1 << (slot.index & 31)
  const text = isInText(slot)
  const seen = `p = q
          ${word} |= ${bit}${text ? '' : `\n          ${mark(needed)}`}`
  return `
        case ${index + 1}:
          if ((${word} & ${bit}) !== 0) break fields
          ${valueEnd(slot)}
          if (q >= stop) {
            if (q !== stop) break fields
            ${seen}
            ${text ? 'continue' : 'break fields'}
          }
          ${seen}
          ${next === undefined ? 'continue' : `if (${isNotTag(next.tag)}) continue`}
          ${next !== undefined && text && !isInText(next) ? CHECK : ''}`
}

function isNotTag(tag: number): string {
  return tag < 128 ? `bytes[p] !== ${tag}` : `bytes[p] !== ${(tag & 127) | 128} || bytes[p + 1 | 0] !== ${tag >> 7}`
}

/** All its bytes are ASCII when it is in its commonest form. */
function isInText({ op, tag }: Slot): boolean {
  return tag < 128 && (op === 'string' || op === 'bool')
}

/** Sets q to the position behind a value in its commonest form; in another one the general way goes on. */
function valueEnd(slot: Slot): string {
  const at = slot.tag < 128 ? 1 : 2
  switch (slot.op) {
    case 'double':
      return `q = p + ${at + 8} | 0`
    case 'float':
      return `q = p + ${at + 4} | 0`
    case 'bool':
      return `if (bytes[p + ${at} | 0] > 1) break fields
          q = p + ${at + 1} | 0`
    case 'string':
    case 'bytes': {
      const check =
        slot.op === 'bytes' || isInText(slot)
          ? ''
          : `if (q > stop) break fields\n          ${ascii(`p + ${at + 1} | 0`, 'q')}`
      return `w = bytes[p + ${at} | 0]
          if (w > 127) break fields
          q = p + w + ${at + 1} | 0
          ${check}`
    }
    default:
      return varintEnd(at, is64(slot) ? varintEnd(at + 4, 'break fields') : 'break fields')
  }
}

/** Of up to four bytes. Any number of INT64 is right, and one of the others when it is below 2^28. */
function varintEnd(at: number, longer: string): string {
  return `w = view.getInt32(p + ${at} | 0, true)
          if ((w & 0x80) === 0) q = p + ${at + 1} | 0
          else if ((w & 0x8000) === 0) q = p + ${at + 2} | 0
          else if ((w & 0x800000) === 0) q = p + ${at + 3} | 0
          else if (w >= 0) q = p + ${at + 4} | 0
          else { ${longer} }`
}
