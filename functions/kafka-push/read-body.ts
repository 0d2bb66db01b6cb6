import { type Origin, originOutsideKafka, ROW_BYTES_MAX } from '../../shared/codec/index.ts'
import type { Route } from '../../shared/config/index.ts'
import type { Reason } from '../../shared/dead-letters/index.ts'
import { createCutter, cutPieces, uncutReason, framingOf } from '../../shared/framing/index.ts'
import { AgentKey } from '../kafka-worker/agent-key.ts'
import { checkCount, Refusal } from './refusal.ts'
import { membersOf, OPEN_ARRAY, OPEN_OBJECT, QUOTE, type Span, splitJson, trim } from './split-json.ts'

/** One event of a request. */
export interface PushedEvent {
  readonly route: Route
  /** null: a tombstone. */
  readonly bytes: Buffer | null
  readonly origin: Origin
  /** Why there is no event here, before the codec has looked. */
  readonly dead?: Reason
}

/** The events of a request, in its order. */
export interface Pushed {
  readonly events: readonly PushedEvent[]
  /** The body was an array: its sender gets a result for each element. */
  readonly isArray: boolean
}

/** Which routes a request may mean: the one that its path names, or those of its records' topics. */
export interface Routing {
  readonly named: Route | undefined
  readonly byTopic: ReadonlyMap<string, Route>
}

/** What a record has in an array of Confluent's Cloud Functions sink, and of Kafka's REST proxy (which has no timestamp). */
const RECORD = ['topic', 'partition', 'offset', 'value']
const RECORD_OR_MORE = new Set([...RECORD, 'key', 'timestamp', 'headers'])
/** The names that Kafka takes: others come from no topic, and a dead letter of megabytes of name could not be written. */
const TOPIC = /^[A-Za-z0-9._-]{1,249}$/
const NO_BASE64: Reason = { reason: 'wrong_type', message: 'protobuf comes as a string in base64' }
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/
const [JSON_TYPE, LINES_TYPE] = [/[/+]json *(?:;|$)/i, /ndjson|jsonl|json-lines|json-seq/i]

/** Cuts a body into events. What is wrong with one event is left to the codec. @throws Refusal when it cannot be cut, or into too many */
export function readBody(body: Buffer, contentType: string, routing: Routing): Pushed {
  const whole = trim(body, 0, body.length)
  const first = body[whole[0]]
  const { named } = routing
  const isJson = JSON_TYPE.test(contentType)
  const mayBeArray = isJson || (!LINES_TYPE.test(contentType) && named?.format !== 'text' && named?.format !== 'raw')
  const parts = first === OPEN_ARRAY && mayBeArray ? splitJson(body, whole, checkCount) : undefined
  if (parts) return { events: parts.map((part, index) => elementOf(body, part, index, routing)), isArray: true }
  if (first === undefined) throw new Refusal(400, 'the body is empty')
  if (first === OPEN_ARRAY && isJson) throw new Refusal(400, 'the array does not end where the body ends')
  if (!named) throw new Refusal(400, 'only arrays of records with topic, partition and offset go to /: use /ROUTE')
  if (first === OPEN_OBJECT && isJson) return { events: [elementOf(body, whole, 0, routing)], isArray: false }
  return { events: framed(body, named), isArray: false }
}

function elementOf(body: Buffer, span: Span, index: number, { named, byTopic }: Routing): PushedEvent {
  const members = membersOf(body, span)
  const isRecord =
    members && RECORD.every((key) => members.has(key)) && members.keys().every((key) => RECORD_OR_MORE.has(key))
  if (!isRecord) {
    if (!named)
      throw new Refusal(400, `element ${index}: no record with topic, partition, offset and value: use /ROUTE`)
    return { route: named, ...valueOf(body, span, named), origin: originOutsideKafka(null) }
  }
  const member = (key: string) => members.get(key) ?? ([0, 0] satisfies Span)
  const topic = parse(body, member('topic'))
  if (typeof topic !== 'string' || !TOPIC.test(topic)) throw new Refusal(400, `element ${index}: topic: not a name`)
  const [partition = 0, offset = 0] = ['partition', 'offset'].map((key) => {
    const value = parse(body, member(key))
    if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number
    throw new Refusal(400, `element ${index}: ${key}: not an integer from 0 on`)
  })
  const route = named ?? byTopic.get(topic)
  if (!route) throw new Refusal(404, `element ${index}: no route with push has the topic ${topic}`)
  const origin = originOf(parse(body, member('key')), topic, partition, offset)
  return { route, ...valueOf(body, member('value'), route), origin }
}

/** Strings that hold JSON's objects, or text, are the event themselves; of other formats they are base64. */
function valueOf(body: Buffer, [from, to]: Span, { format }: Route): Pick<PushedEvent, 'bytes' | 'dead'> {
  const bytes = body.subarray(from, to)
  if (bytes.length === 4 && bytes.toString() === 'null') return { bytes: null }
  const text = bytes[0] === QUOTE ? parse(body, [from, to]) : undefined
  const isBase64 = typeof text === 'string' && BASE64.test(text)
  if (format === 'protobuf' && !isBase64) return { bytes, dead: NO_BASE64 }
  if (typeof text !== 'string') return { bytes }
  const wasBytes = isBase64 && (format === 'protobuf' || format === 'json')
  return { bytes: Buffer.from(text, wasBytes ? 'base64' : 'utf8') }
}

function originOf(key: unknown, kafkaTopic: string, kafkaPartition: number, kafkaOffset: number): Origin {
  const agent = new AgentKey()
  const isAgents =
    typeof key === 'string' &&
    (['utf8', 'base64'] as const).some((encoding) => {
      const bytes = Buffer.from(key, encoding)
      return agent.read(bytes, 0, bytes.length)
    })
  const { source, position, size } = agent
  return { ...originOutsideKafka(isAgents ? source : null), position, size, kafkaTopic, kafkaPartition, kafkaOffset }
}

/** Undefined: no JSON. */
function parse(body: Buffer, [from, to]: Span): unknown {
  try {
    return JSON.parse(body.toString('utf8', from, to)) as unknown
  } catch {
    return undefined
  }
}

/** Lines, or messages with their lengths: as the route's files have them. @throws UserError for text in UTF-16 */
function framed(body: Buffer, route: Route): PushedEvent[] {
  const found: PushedEvent[] = []
  const cut = cutPieces(createCutter(framingOf(route, ROW_BYTES_MAX), 0))
  for (const { events } of cut(body, true)) {
    for (let i = 0; i < events.count; i++) {
      const bytes = body.subarray(events.valueStart[i], events.valueEnd[i])
      const dead = uncutReason(events.dead[i])
      checkCount(found.push({ route, bytes, origin: originOutsideKafka(null), ...(dead && { dead }) }))
    }
  }
  return found
}
