import { messageOf } from '../errors.ts'

/** What went wrong, for whoever must decide what to do next, and the names that Kafka and kafkajs have for it. */
const CODES = {
  /** Another life of the transactional id took over: stop. */
  fenced: ['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED'],
  /**
   * The transaction was open longer than its time-out and was aborted by the broker, or this life has sent as many records as it
   * may: open a new producer.
   */
  expired: [],
  /** The broker takes no batch of this size (`max.message.bytes`): split it. */
  'too-large': ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'],
  /** An operator must act, as for `unauthorized`; until then every try fails. */
  'unknown-topic': ['UNKNOWN_TOPIC_OR_PARTITION', 'INVALID_TOPIC_EXCEPTION', 'KafkaJSTopicMetadataNotLoaded'],
  unauthorized: [
    'TOPIC_AUTHORIZATION_FAILED',
    'GROUP_AUTHORIZATION_FAILED',
    'CLUSTER_AUTHORIZATION_FAILED',
    'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
    'SASL_AUTHENTICATION_FAILED',
    'KafkaJSSASLAuthenticationError',
  ],
  /** It takes nothing now: too few replicas, a disk that is full or broken, a rule that records break. */
  'unavailable-topic': [
    'NOT_ENOUGH_REPLICAS',
    'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
    'KAFKA_STORAGE_ERROR',
    'POLICY_VIOLATION',
    'INVALID_TIMESTAMP',
  ],
  /** The membership was over before anything was sent. */
  ended: [],
  /** Bytes that are no RecordBatch, or that fail their checksum. */
  corrupt: [],
  /** No connection, or no answer in time: the outcome is unknown. */
  unreachable: [
    'KafkaJSConnectionError',
    'KafkaJSConnectionClosedError',
    'KafkaJSRequestTimeoutError',
    'KafkaJSLockTimeout',
    'KafkaJSBrokerNotFound',
    'KafkaJSGroupCoordinatorNotFound',
  ],
  /** Any other answer of the broker; `code` has its name. */
  refused: [],
}

/** One of CODES. */
export type KafkaErrorKind = keyof typeof CODES

const KINDS = Object.keys(CODES) as KafkaErrorKind[]
const KIND_OF_CODE = new Map(KINDS.flatMap((kind) => CODES[kind].map((code): [string, KafkaErrorKind] => [code, kind])))

/** Every failure of this room, classified. */
export class KafkaError extends Error {
  override readonly name = 'KafkaError'
  readonly kind: KafkaErrorKind
  /** Kafka's name of the error, such as `NOT_COORDINATOR`, or kafkajs's. */
  readonly code: string
  /** The one that the broker refuses, where it says so. */
  readonly topic: string | undefined

  constructor(kind: KafkaErrorKind, code: string, message: string, options: ErrorOptions & { topic?: string } = {}) {
    super(message, options)
    this.kind = kind
    this.code = code
    this.topic = options.topic
  }
}

/** Bytes that cannot be what they should be. */
export function corrupt(what: string): KafkaError {
  return new KafkaError('corrupt', 'CORRUPT_MESSAGE', what)
}

/** A 64-bit number of the wire. Throws KafkaError `corrupt` beyond what a number holds exactly. */
export function safeInteger(value: bigint | string): number {
  const number = Number(value)
  if (Number.isSafeInteger(number)) return number
  throw corrupt(`${value} is no safe integer`)
}

/** kafkajs 2.2.4 has no name for this error of Kafka, PRODUCER_FENCED. */
const PRODUCER_FENCED = /error code 90\b/

/** Classifies anything that kafkajs threw: the innermost cause that has a known name decides. */
export function kafkaError(thrown: unknown): KafkaError {
  if (thrown instanceof KafkaError) return thrown
  const code = codeOf(thrown)
  const options = { cause: thrown, ...topicOf(thrown) }
  return new KafkaError(KIND_OF_CODE.get(code) ?? 'refused', code, `${code}: ${messageOf(thrown)}`, options)
}

/** The topic that a refusal was marked with by `seams.ts`. */
function topicOf(thrown: unknown): { topic?: string } {
  const marked = causes(thrown).find((error): error is Error & { topic: unknown } => 'topic' in error)
  return typeof marked?.topic === 'string' ? { topic: marked.topic } : {}
}

/** An error and what caused it, the innermost last. kafkajs makes errors that are their own cause. */
function causes(thrown: unknown): Error[] {
  const found = new Set<Error>()
  for (let error = thrown; error instanceof Error && !found.has(error); error = error.cause) found.add(error)
  return [...found]
}

/** A mistake in a program, its innermost cause: trying again mends nothing. */
export function isDefect(thrown: unknown): boolean {
  const innermost = causes(thrown).at(-1)
  return innermost instanceof TypeError || innermost instanceof ReferenceError
}

/** The broker's name of an error, from the depth of kafkajs's wrappers; else the name of kafkajs's own error. */
function codeOf(thrown: unknown): string {
  let code = 'UNKNOWN'
  for (const error of causes(thrown)) {
    if ('type' in error && typeof error.type === 'string')
      code = PRODUCER_FENCED.test(error.message) ? 'PRODUCER_FENCED' : error.type
    else if (code === 'UNKNOWN' || KIND_OF_CODE.has(error.name)) code = error.name
  }
  return code
}
