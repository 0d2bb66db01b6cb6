import assert from 'node:assert/strict'
import protobuf from 'protobufjs'
import { compileRoute, RowBuffer, type RowCodec } from '../../shared/codec/index.ts'
import { recordFromMessage } from '../../shared/schema/proto.ts'
import { jsonOf, type Sample } from './random-messages.ts'
import { decodeRows, HERE, NOWHERE, routeOf } from './rows.ts'
import { slowRow, sortedMap } from './slow-mapper.ts'
import { withoutCompiling } from './without-compiling.ts'

/** Encodes events one after the other and answers the rows' bytes; a refusal is an error. */
function encodeAll(codec: RowCodec, events: readonly Buffer[], origin = NOWHERE): RowBuffer {
  const out = new RowBuffer(64)
  for (const event of events) {
    // Amid other bytes, as in a batch.
    const input = Buffer.concat([Buffer.from('}"'), event, Buffer.from('"x":1}')])
    assert.equal(codec.encode(input, 2, 2 + event.length, origin, out), undefined, event.toString('latin1'))
  }
  return out
}

/**
 * The properties of a schema and its messages: rows equal the slow mapper's, and both forms give the same bytes, with
 * compiled functions and without.
 */
export function checkSample({ type, messages }: Sample): void {
  const record = recordFromMessage(type, 'sample')
  const fromWire = compileRoute(routeOf({ format: 'protobuf', unknown: 'reject' }), record)
  const fromJson = compileRoute(routeOf({ format: 'json', unknown: 'reject' }), record)
  const rows = encodeAll(fromWire, messages)
  const decoded = decodeRows(fromWire, rows).map(({ millrace: _, ...row }) => sorted(type, row))
  const expected = messages.map((wire) => slowRow(type, type.decode(wire) as unknown as Record<string, unknown>))
  assert.deepEqual(decoded, expected)
  const texts = messages.map((wire) => jsonOf(type, wire))
  const hex = rows.slice().toString('hex')
  assert.equal(encodeAll(fromJson, texts).slice().toString('hex'), hex, texts.join('\n'))
  for (const [format, codec, events] of [
    ['protobuf', fromWire, messages],
    ['json', fromJson, texts],
  ] as const) {
    const general = withoutCompiling(() => compileRoute(routeOf({ format, unknown: 'reject' }), record))
    assert.equal(encodeAll(general, events).slice().toString('hex'), hex, 'without compiled functions')
    assert.deepEqual(encodeAll(general, events, HERE).slice(), encodeAll(codec, events, HERE).slice())
  }
}

/**
 * Two messages behind each other are one: of singular fields the last counts, messages are merged, lists are joined, and
 * of a oneof and of equal keys of a map the last counts, too.
 */
export function checkMerge({ source, type, messages }: Sample): void {
  // Seconds of one and nanoseconds of the other need not have the same sign.
  if (source.includes('Duration')) return
  const codec = compileRoute(routeOf({ format: 'protobuf', unknown: 'reject' }), recordFromMessage(type, 'sample'))
  const wire = Buffer.concat([...messages])
  const [decoded] = decodeRows(codec, encodeAll(codec, [wire]))
  const { millrace: _, ...row } = decoded ?? {}
  assert.deepEqual(sorted(type, row), slowRow(type, type.decode(wire) as unknown as Record<string, unknown>))
}

/** Map entries in the slow mapper's order. */
function sorted(type: protobuf.Type, row: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(row).map(([name, value]) => {
    const field = type.fields[name]
    const nested = field?.resolvedType
    const inside = (item: unknown) =>
      nested instanceof protobuf.Type && typeof item === 'object'
        ? sorted(nested, item as Record<string, unknown>)
        : item
    if (field instanceof protobuf.MapField) {
      const items = (value as { key: unknown; value: unknown }[]).map((entry) => ({
        key: entry.key,
        value: inside(entry.value),
      }))
      return [name, sortedMap(items)]
    }
    return [name, Array.isArray(value) ? value.map(inside) : inside(value)]
  })
  return Object.fromEntries(entries) as Record<string, unknown>
}
