import type { MessagePlan } from './plan.ts'
import { LENGTH, Reader } from './reader.ts'

/**
 * Rewrites a row in which a field that is not repeated came more than once, as protobuf reads it: the last value
 * counts, messages are merged. No encoder produces such rows on purpose, so this may be slow.
 * Undefined: the bytes are no protobuf.
 */
export function canonicalRow(row: Buffer, plan: MessagePlan): Buffer | undefined {
  const reader = new Reader()
  reader.buffer = row
  reader.end = row.length
  const parts: Buffer[] = []
  const single = new Map<number, Buffer[]>()
  while (reader.pos < row.length) {
    const start = reader.pos
    if (!reader.varint()) return undefined
    const [number, wireType] = [reader.lo >>> 3, reader.lo & 7]
    if (!reader.skip(wireType)) return undefined
    const field = plan.byNumber.get(number)
    const whole = row.subarray(start, reader.pos)
    if (field?.message !== undefined) {
      const body = row.subarray(reader.from, reader.to)
      if (!field.node.repeated) single.set(number, [...(single.get(number) ?? []), body])
      else if (!pushMessage(parts, number, body, field.message)) return undefined
    } else if (field === undefined || field.node.repeated) parts.push(whole)
    else single.set(number, [whole])
  }
  for (const [number, pieces] of single) {
    const message = plan.byNumber.get(number)?.message
    if (message === undefined) parts.push(...pieces)
    else if (!pushMessage(parts, number, Buffer.concat(pieces), message)) return undefined
  }
  return Buffer.concat(parts)
}

function pushMessage(parts: Buffer[], number: number, body: Buffer, plan: MessagePlan): boolean {
  const canonical = canonicalRow(body, plan)
  if (canonical !== undefined) parts.push(varint(number * 8 + LENGTH), varint(canonical.length), canonical)
  return canonical !== undefined
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80)
  bytes.push(rest)
  return Buffer.from(bytes)
}
