import type { Plan, Slot } from './plan.ts'
import { RowBuffer } from './row-buffer.ts'
import { field, GROUP, LENGTH, nextField, readLength } from './wire.ts'

/** A field of a message as it came: bytes[start, end) with its tag, content from `value`. */
interface Item {
  readonly slot: Slot | null | undefined
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
export function mergedMessage(plan: Plan, bytes: Buffer): Buffer {
  const kept = new Map<unknown, Item[]>()
  for (const item of itemsOf(plan, bytes) ?? []) {
    const { slot } = item
    const identity = identityOf(item)
    if (slot && slot.oneof >= 0)
      for (const [key, [other]] of kept) if (other?.slot?.oneof === slot.oneof && other.slot !== slot) kept.delete(key)
    if (slot?.map) kept.delete(identity)
    const before = kept.get(identity)
    if (before && slot && isMessage(slot)) before.push(item)
    else kept.set(identity, [item])
  }
  return kept.size === 0 ? bytes : Buffer.concat([...kept.values()].map(written))
}

function itemsOf(plan: Plan, bytes: Buffer): Item[] | undefined {
  const items: Item[] = []
  for (let p = 0; p < bytes.length; ) {
    const start = p
    p = nextField(bytes, p, bytes.length)
    if (p < 0) return undefined
    items.push({ slot: plan.slotOf(field.tag), bytes, start, value: field.value, end: p })
  }
  return items
}

/** What is the same for two items of which one counts: the field, or the field with the entry's key. */
function identityOf(item: Item): unknown {
  const { slot } = item
  if (!slot?.map) return slot && !slot.repeated ? slot : item
  const key = itemsOf(slot.plan, contentOf(item))?.findLast((entry) => entry.slot?.index === 0)
  // An absent key is the default one: all its bytes are zero.
  return `${slot.index} ${key ? key.bytes.toString('latin1', key.value, key.end).replace(/^\0+$/, '') : ''}`
}

function isMessage({ sourceType, proto }: Slot): boolean {
  if (sourceType === GROUP || proto?.wrapper) return true
  return sourceType === LENGTH && proto?.kind !== 'string' && proto?.kind !== 'bytes'
}

/** The content, without the length or the end tag around it. */
function contentOf({ slot, bytes, start, value, end }: Item): Buffer {
  if (slot?.sourceType === GROUP) return bytes.subarray(value, end - (value - start))
  return bytes.subarray(readLength(bytes, value, end), end)
}

function written(group: readonly Item[]): Buffer {
  const { slot, bytes, start, value, end } = group[0] as Item
  if (!slot || !isMessage(slot)) return bytes.subarray(start, end)
  const content = Buffer.concat(group.map(contentOf))
  const plain = slot.op === 'message' ? mergedMessage(slot.plan, content) : content
  const out = new RowBuffer(plain.length + 16)
  out.copy(bytes, start, value)
  if (slot.sourceType !== GROUP) out.lengthAndCopy(plain, 0, plain.length)
  else {
    out.copy(plain, 0, plain.length)
    out.copy(bytes, end - (value - start), end)
  }
  return out.bytes.subarray(0, out.length)
}
