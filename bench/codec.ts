/**
 * Events to rows, beside what one would write without the codec: `JSON.parse`, and protobufjs. One process, the
 * contestants in turns, the best of several rounds of each, quoted as ratios. `--check` exits 1 when a bar is missed.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import protobuf from 'protobufjs'
import { compileRoute, RowBuffer, type RowCodec } from '../shared/codec/index.ts'
import { recordFromMessage } from '../shared/schema/proto.ts'
import { Result } from './result.ts'

const SCHEMA = `
syntax = "proto3";
message Visit {
  int64 user_id = 1;
  string session = 2;
  string method = 3;
  string path = 4;
  int32 status = 5;
  int32 bytes = 6;
  double latency = 7;
  string country = 8;
  bool cached = 9;
  string agent = 10;
  string referer = 11;
  int64 at = 12;
}
message Search {
  int64 id = 1;
  string query = 2;
  Place from = 3;
  Place to = 4;
  repeated Leg legs = 5;
  double price = 6;
}
message Place { string code = 1; string city = 2; double lat = 3; double lon = 4; }
message Leg { string carrier = 1; int32 number = 2; int64 departs = 3; bool direct = 4; }
message Access {
  string remote_host = 1;
  string method = 2;
  string path = 3;
  string protocol = 4;
  int64 time = 5;
  int32 status = 6;
  int32 bytes = 7;
  string referer = 8;
  string user_agent = 9;
}
`
const COUNT = 20_000
const ROUNDS = 9
const root = new protobuf.Root()
protobuf.parse(SCHEMA, root, { keepCase: true })
root.resolveAll()

const origin = {
  source: 'abcdefghijklmnopqrstuvwxyz',
  position: 1_000_000,
  size: 221,
  kafkaTopic: 'visits',
  kafkaPartition: 3,
  kafkaOffset: 123_456,
  ingestedAtMicros: 1_764_000_000_000_000,
}

type Message = Record<string, unknown>

function visit(i: number): Message {
  return {
    user_id: 10_000_000 + i * 7,
    session: `s${(i * 2_654_435_761) >>> 0}`,
    method: i % 5 === 0 ? 'POST' : 'GET',
    path: `/api/v1/items/${i % 977}/offers`,
    status: i % 17 === 0 ? 404 : 200,
    bytes: 200 + (i % 5000),
    latency: ((i * 37) % 10_000) / 1000,
    country: ['DE', 'SG', 'US', 'FR'][i % 4],
    cached: i % 3 === 0,
    agent: 'okhttp/4.9.1',
    referer: 'https://x.example/',
    at: 1_764_000_000_000 + i,
  }
}

/** What is not in its commonest form: fields left out, other orders, white space, escapes, signs, long and foreign text. */
function oddVisit(i: number): Message {
  const { session: _, latency, ...rest } = visit(i)
  const odd = {
    ...rest,
    status: -1,
    path: `/suche/b\u00fccher?q="${i % 977}"`,
    agent: 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_1) '.repeat(3),
    latency,
  }
  return i % 2 === 0 ? odd : Object.fromEntries(Object.entries(odd).reverse())
}

function search(i: number): Message {
  const place = (k: number) => ({
    code: ['SIN', 'BER', 'JFK'][k % 3],
    city: 'Somewhere',
    lat: 1.5 + k / 8,
    lon: -70.25,
  })
  const leg = (k: number) => ({ carrier: 'SQ', number: 320 + k, departs: 1_764_000_000 + i, direct: k % 2 === 0 })
  return {
    id: i,
    query: `flights ${i}`,
    from: place(i),
    to: place(i + 1),
    legs: [leg(1), leg(2)],
    price: 100.25 + (i % 100),
  }
}

function access(i: number): Message {
  return {
    remote_host: `10.${i % 200}.3.${i % 250}`,
    method: 'GET',
    path: `/presentations/images/kibana-${i % 999}.png`,
    protocol: 'HTTP/1.1',
    time: 1_431_857_103_000_000,
    status: 200,
    bytes: 203_023 + (i % 100),
    referer: 'http://semicomplete.com/presentations/',
    user_agent: 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_1) AppleWebKit/537.36',
  }
}

function accessLine(i: number): Buffer {
  const m = access(i)
  const request = `${m['method']} ${m['path']} ${m['protocol']}`
  return Buffer.from(
    `${m['remote_host']} - - [17/May/2015:10:05:03 +0000] "${request}" ${m['status']} ${m['bytes']} "${m['referer']}" "${m['user_agent']}"`,
  )
}

/** Events in one buffer, as a fetched batch has them. */
class Batch {
  readonly bytes: Buffer
  readonly starts: number[] = []
  readonly ends: number[] = []

  constructor(events: readonly Buffer[]) {
    this.bytes = Buffer.concat(events.flatMap((event) => [event, Buffer.from('\n')]))
    let at = 0
    for (const event of events) {
      this.starts.push(at)
      this.ends.push(at + event.length)
      at += event.length + 1
    }
  }
}

function batchOf(make: (i: number) => Buffer): Batch {
  return new Batch(Array.from({ length: COUNT }, (_, i) => make(i)))
}

const out = new RowBuffer(16 * 1024 * 1024)

function encodeAll(codec: RowCodec, batch: Batch): void {
  out.clear()
  const { bytes, starts, ends } = batch
  for (let i = 0; i < starts.length; i++) {
    const rejection = codec.encode(bytes, starts[i] as number, ends[i] as number, origin, out)
    if (rejection) throw new Error(rejection.message)
  }
}

let sink = 0

function each(batch: Batch, use: (event: Buffer) => unknown): void {
  const { bytes, starts, ends } = batch
  for (let i = 0; i < starts.length; i++) if (use(bytes.subarray(starts[i], ends[i]))) sink++
}

function encoderOf(type: protobuf.Type): (message: Message) => Uint8Array {
  return (message) => type.encode(message).finish()
}

interface Contest {
  readonly name: string
  readonly events: number
  readonly run: () => void
}

function contests(): Contest[] {
  const types = {
    visit: root.lookupType('Visit'),
    search: root.lookupType('Search'),
    access: root.lookupType('Access'),
  }
  const codec = (type: protobuf.Type, format: 'json' | 'protobuf') =>
    compileRoute(
      { name: 'bench', format, unknown: 'keep', metadata: 'millrace', convert: {} },
      recordFromMessage(type, 'bench'),
    )
  const list: Contest[] = []
  const add = (name: string, run: () => void) => list.push({ name, events: COUNT, run })
  for (const [name, make, type] of [
    ['flat', visit, types.visit],
    ['nested', search, types.search],
    ['odd', oddVisit, types.visit],
  ] as const) {
    const text = (i: number) => JSON.stringify(make(i), null, name === 'odd' ? 1 : 0).replaceAll(/\n */g, ' ')
    const json = batchOf((i) => Buffer.from(text(i)))
    const wire = batchOf((i) => Buffer.from(type.encode(make(i)).finish()))
    const encode = encoderOf(type)
    const fromJson = codec(type, 'json')
    const fromWire = codec(type, 'protobuf')
    add(`${name}: JSON to row`, () => encodeAll(fromJson, json))
    add(`${name}: JSON.parse`, () => each(json, (event) => JSON.parse(event.toString())))
    add(`${name}: JSON.parse + protobufjs`, () =>
      each(json, (event) => encode(JSON.parse(event.toString()) as Message)),
    )
    add(`${name}: protobuf to row`, () => encodeAll(fromWire, wire))
    add(`${name}: protobufjs decode + encode`, () => each(wire, (event) => type.encode(type.decode(event)).finish()))
  }
  const lines = batchOf(accessLine)
  const objects = batchOf((i) => Buffer.from(JSON.stringify(access(i))))
  const combined = compileRoute({
    name: 'bench',
    format: 'text',
    preset: 'combined',
    unknown: 'keep',
    metadata: 'millrace',
    convert: {},
  })
  const encode = encoderOf(types.access)
  add('access: combined to row', () => encodeAll(combined, lines))
  add('access: JSON.parse + protobufjs', () =>
    each(objects, (event) => encode(JSON.parse(event.toString()) as Message)),
  )
  return list
}

/** CPU seconds of this process: what others on the machine do does not count. */
function cpu(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/**
 * Events a second: the best round of each, the rounds interleaved. Each runs twice, and the second time counts: what the
 * one before left in the caches, most often its garbage, is not its own.
 */
function measure(list: readonly Contest[]): Map<string, number> {
  const best = new Map<string, number>()
  for (let round = 0; round < ROUNDS; round++) {
    for (const contest of list) {
      contest.run()
      const begin = cpu()
      contest.run()
      const seconds = cpu() - begin
      best.set(contest.name, Math.max(best.get(contest.name) ?? 0, contest.events / seconds))
    }
  }
  return best
}

/** Bytes that so many batches allocate on the heap, as long as no collection comes between. */
function heapGrowth(run: () => void, rounds: number): number {
  run()
  globalThis.gc?.()
  const before = process.memoryUsage()
  for (let i = 0; i < rounds; i++) run()
  return process.memoryUsage().heapUsed - before.heapUsed
}

/** Compilers that work beside it allocate too, now and then. */
function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
}

function report(): void {
  const list = contests()
  const rates = measure(list)
  console.log(`${'contestant'.padEnd(40)} M events/s`)
  for (const [name, rate] of rates) console.log(`${name.padEnd(40)} ${(rate / 1e6).toFixed(3).padStart(10)}`)
  const ratio = (a: string, b: string) => (rates.get(a) ?? 0) / (rates.get(b) ?? 1)
  // One batch and five: what is allocated for events, in bytes an event of the difference.
  const heap = list
    .filter((contest) => contest.name.endsWith('to row'))
    .map(({ run }) => median([1, 2, 3, 4, 5].map(() => (heapGrowth(run, 5) - heapGrowth(run, 1)) / (4 * COUNT))))
  const heapMax = Math.max(...heap)
  const result = new Result('codec')
  const flat = 'flat: JSON to row'
  const protobufs = ['flat: protobuf to row', 'flat: protobufjs decode + encode'] as const
  const combined = ['access: combined to row', 'access: JSON.parse + protobufjs'] as const
  result.bar('JSON to row / JSON.parse + protobufjs', ratio(flat, 'flat: JSON.parse + protobufjs'), 'at least', 4)
  result.bar('JSON to row / JSON.parse', ratio(flat, 'flat: JSON.parse'), 'at least', 2.5)
  result.bar('protobuf to row / protobufjs decode + encode', ratio(...protobufs), 'at least', 15)
  result.bar('combined to row / JSON.parse + protobufjs', ratio(...combined), 'at least', 2)
  result.bar('heap bytes for an event', heapMax, 'below', 1)
  for (const events of ['nested', 'odd']) {
    for (const [name, against] of [
      ['JSON to row', 'JSON.parse + protobufjs'],
      ['protobuf to row', 'protobufjs decode + encode'],
    ]) {
      result.figure(`${events}: ${name} / ${against}`, ratio(`${events}: ${name}`, `${events}: ${against}`))
    }
  }
  for (const [name, rate] of rates) result.figure(name, rate)
  if (sink === 0) result.failed('rows were made')
  result.end(process.argv.includes('--check'))
}

// The heap is only measured where the collector can be called.
setFlagsFromString('--expose-gc')
globalThis.gc ??= runInNewContext('gc') as NonNullable<typeof globalThis.gc>
report()
