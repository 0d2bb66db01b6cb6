import type { Plan, Slot } from './plan.ts'
import { Op } from './plan.ts'
import { GROUP, LENGTH, readLength, skipValue, wire } from './wire.ts'

/** A field of a message as it came: bytes[start, end) with its tag, content from `value`. */
interface Item {
  readonly slot: Slot | undefined
  readonly bytes: Buffer
  readonly start: number
  readonly value: number
  readonly end: number
}

/**
 * The same message in its plain form, as protobuf's rules of merging have it: of a singular field the last value counts,
 * singular messages are merged, of a oneof the last member counts, of map entries with one key the last. Slow: for the
 * rare event that needs it. What is malformed is left as it is for the walk to find.
 */
export function mergedEvent(plan: Plan, input: Buffer, start: number, end: number): Buffer {
  return merged(plan, input.subarray(start, end))
}

function merged(plan: Plan, bytes: Buffer): Buffer {
  const items = itemsOf(plan, bytes)
  if (!items) return bytes
  const last = new Map<Slot, Item[]>()
  const kept: Item[][] = []
  for (const item of items) {
    const { slot } = item
    const before = slot && !slot.repeated ? last.get(slot) : undefined
    if (slot && slot.oneof >= 0) dropOthers(last, slot)
    if (slot && before && before.length > 0) {
      if (!isMessage(slot)) before.length = 0
      before.push(item)
      continue
    }
    const group = [item]
    kept.push(group)
    if (slot && !slot.repeated) last.set(slot, group)
  }
  return Buffer.concat(withoutOldEntries(kept).map((group) => write(group)))
}

function dropOthers(last: Map<Slot, Item[]>, slot: Slot): void {
  for (const [other, items] of last) if (other !== slot && other.oneof === slot.oneof) items.length = 0
}

function isMessage(slot: Slot): boolean {
  return (
    slot.sourceType === GROUP ||
    (slot.sourceType === LENGTH && slot.proto?.kind !== 'string' && slot.proto?.kind !== 'bytes') ||
    slot.proto?.wrapper === true
  )
}

function itemsOf(plan: Plan, bytes: Buffer): Item[] | undefined {
  const items: Item[] = []
  const end = bytes.length
  let p = 0
  while (p < end) {
    const start = p
    p = readLength(bytes, p, end)
    if (p < 0) return undefined
    const tag = wire.low
    const value = p
    p = skipValue(bytes, p, end, tag & 7, tag >>> 3, 0)
    if (p < 0) return undefined
    const slot = plan.slotOf(tag >>> 3)
    const fits = slot !== undefined && ((tag & 7) === slot.sourceType || ((tag & 7) === LENGTH && slot.packable))
    items.push({ slot: fits ? slot : undefined, bytes, start, value, end: p })
  }
  return items
}

/** Of several entries of a map with the same key the last one. */
function withoutOldEntries(groups: readonly Item[][]): Item[][] {
  const lastOf = new Map<string, Item[]>()
  const keyOf = (group: readonly Item[]): string | undefined => {
    const [item] = group
    if (!item?.slot?.map) return undefined
    const [, from, to] = contentOf(item)
    const entry = itemsOf(item.slot.plan, item.bytes.subarray(from, to))
    const key = entry?.findLast((field) => field.slot?.index === 0)
    // An absent key is the default one: all its bytes are zero.
    return `${item.slot.index} ${key ? key.bytes.toString('latin1', key.value, key.end).replace(/^\0+$/, '') : ''}`
  }
  for (const group of groups) {
    const key = keyOf(group)
    if (key !== undefined) lastOf.set(key, group)
  }
  return groups.filter((group) => {
    const key = keyOf(group)
    return key === undefined || lastOf.get(key) === group
  })
}

/** Where the tag ends and the content is, without the length or the end tag around it. */
function contentOf(item: Item): readonly [tagEnd: number, from: number, to: number] {
  if (item.slot?.sourceType !== GROUP) return [item.value, readLength(item.bytes, item.value, item.end), item.end]
  return [item.value, item.value, item.end - (item.value - item.start)]
}

function write(group: readonly Item[]): Buffer {
  const [first] = group
  if (first === undefined) return Buffer.alloc(0)
  const whole = first.bytes.subarray(first.start, first.end)
  if (!first.slot || !isMessage(first.slot) || first.slot.packable) return whole
  const content = Buffer.concat(group.map((item) => item.bytes.subarray(...contentOf(item).slice(1))))
  const plain = first.slot.op === Op.MESSAGE ? merged(first.slot.plan, content) : content
  const tag = first.bytes.subarray(first.start, first.value)
  if (first.slot.sourceType === GROUP) return Buffer.concat([tag, plain, endTag(tag)])
  return Buffer.concat([tag, lengthOf(plain.length), plain])
}

// Start and end tags differ in the lowest bits of their first byte.
function endTag(tag: Buffer): Buffer {
  const end = Buffer.from(tag)
  end[0] = (end[0] as number) + 1
  return end
}

function lengthOf(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128)
  return Buffer.from([...bytes, rest])
}
