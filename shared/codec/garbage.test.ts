import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GCProfiler } from 'node:v8'
import protobuf from 'protobufjs'
import { eventually } from '../../test/support/eventually.ts'
import { HERE, routeOf } from '../../test/support/rows.ts'
import { recordFromMessage } from '../schema/proto.ts'
import { type CodecRoute, compileRoute, RowBuffer } from './index.ts'

const { root } = protobuf.parse(`
syntax = "proto3";
message Visit {
  int64 user = 1;
  string path = 2;
  int32 status = 3;
  double latency = 4;
  bool cached = 5;
  string agent = 6;
  Place place = 7;
  repeated int32 steps = 8;
}
message Place { string code = 1; double lat = 2; }
`)
root.resolveAll()
const VISIT = root.lookupType('Visit')

const EVENTS = 500
/** Events in one look at the heap. */
const LOOK = 20_000
/** Bytes for an event: the look itself makes some kilobytes, and the smallest object that an event could make has 16. */
const GARBAGE_MAX = 1

function visit(i: number) {
  const common = {
    user: 10_000_000 + i,
    status: i % 17 === 0 ? 404 : 200,
    latency: (i * 37) / 1000,
    cached: i % 3 === 0,
  }
  return { ...common, path: `/api/v1/items/${i}/offers`, agent: 'okhttp/4.9.1' }
}

/** Not in the commonest form: escapes, foreign and long text, signs, other orders, messages and lists within. */
function oddVisit(i: number) {
  const within = { place: { code: 'SIN', lat: 1.5 }, steps: [1, 2, i] }
  const odd = {
    ...visit(i),
    status: -1,
    path: `/b\u00fccher/\u{1f4da}?q="${i}"`,
    agent: 'Mozilla/5.0 '.repeat(20),
    ...within,
  }
  return i % 2 === 0 ? odd : Object.fromEntries(Object.entries(odd).reverse())
}

/** Bytes that are left on the heap for each event; undefined: the collector came between, so nobody knows. */
function garbage(encode: () => void): number | undefined {
  const collector = new GCProfiler()
  collector.start()
  const before = process.memoryUsage().heapUsed
  for (let k = 0; k < LOOK; k += EVENTS) encode()
  const after = process.memoryUsage().heapUsed
  return collector.stop().statistics.length === 0 ? (after - before) / LOOK : undefined
}

const json = (value: unknown) => Buffer.from(JSON.stringify(value))
const wire = (value: object) => Buffer.from(VISIT.encode(value).finish())
const line = (path: string) =>
  Buffer.from(`10.0.3.7 - - [17/May/2015:10:05:03 +0000] "GET ${path} HTTP/1.1" 200 203023 "-" "Mozilla/5.0"`)

for (const [name, route, make] of [
  ['JSON', { format: 'json' }, (i) => json(visit(i))],
  ['odd JSON', { format: 'json' }, (i) => json(oddVisit(i))],
  ['protobuf', { format: 'protobuf' }, (i) => wire(visit(i))],
  ['odd protobuf', { format: 'protobuf' }, (i) => wire(oddVisit(i))],
  ['an access log', { format: 'text', preset: 'combined' }, (i) => line(visit(i).path)],
  ['an odd access log', { format: 'text', preset: 'combined' }, (i) => line(`/b\u00fccher/${i}`)],
] satisfies [string, Partial<CodecRoute>, (i: number) => Buffer][]) {
  test(`events of ${name} leave no garbage`, async () => {
    const codec = compileRoute(routeOf(route), recordFromMessage(VISIT, 'test'))
    const events = Array.from({ length: EVENTS }, (_, i) => make(i))
    const bytes = Buffer.concat([...events, Buffer.alloc(64)])
    const out = new RowBuffer(1024 * 1024)
    const encode = () => {
      out.clear()
      let at = 0
      for (const { length } of events) assert.equal(codec.encode(bytes, at, (at += length), HERE, out), undefined)
    }
    // The functions make some until V8 has compiled them, which it does beside others.
    await eventually(
      () => {
        const left = garbage(encode)
        assert.ok(left !== undefined && left < GARBAGE_MAX, `${left ?? 'too many'} bytes an event`)
        return true
      },
      { what: 'no garbage' },
    )
  })
}
