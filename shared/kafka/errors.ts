import { messageOf } from '../errors.ts'

/**
 * What went wrong, for whoever must decide what to do next.
 * - `fenced`: another life of the transactional id took over: stop.
 * - `expired`: the transaction was open longer than its time-out and was aborted by the broker, or this life has sent as many records
 *   as it may: open a new producer.
 * - `too-large`: the broker takes no batch of this size (`max.message.bytes`): split it.
 * - `unknown-topic`, `unauthorized`: an operator must act; until then every try fails.
 * - `unavailable-topic`: it takes nothing now: too few replicas, a disk that is full or broken, a rule that records break.
 * - `ended`: the membership was over before anything was sent.
 * - `corrupt`: bytes that are no RecordBatch, or that fail their checksum.
 * - `unreachable`: no connection, or no answer in time: the outcome is unknown.
 * - `refused`: any other answer of the broker; `code` has its name.
 */
export type KafkaErrorKind =
  | 'fenced'
  | 'expired'
  | 'too-large'
  | 'unknown-topic'
  | 'unauthorized'
  | 'unavailable-topic'
  | 'ended'
  | 'corrupt'
  | 'unreachable'
  | 'refused'

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

const KIND_OF_CODE: Readonly<Record<string, KafkaErrorKind>> = {
  INVALID_PRODUCER_EPOCH: 'fenced',
  PRODUCER_FENCED: 'fenced',
  MESSAGE_TOO_LARGE: 'too-large',
  RECORD_LIST_TOO_LARGE: 'too-large',
  UNKNOWN_TOPIC_OR_PARTITION: 'unknown-topic',
  INVALID_TOPIC_EXCEPTION: 'unknown-topic',
  NOT_ENOUGH_REPLICAS: 'unavailable-topic',
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: 'unavailable-topic',
  KAFKA_STORAGE_ERROR: 'unavailable-topic',
  POLICY_VIOLATION: 'unavailable-topic',
  INVALID_TIMESTAMP: 'unavailable-topic',
  TOPIC_AUTHORIZATION_FAILED: 'unauthorized',
  GROUP_AUTHORIZATION_FAILED: 'unauthorized',
  CLUSTER_AUTHORIZATION_FAILED: 'unauthorized',
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: 'unauthorized',
  SASL_AUTHENTICATION_FAILED: 'unauthorized',
  KafkaJSSASLAuthenticationError: 'unauthorized',
  KafkaJSConnectionError: 'unreachable',
  KafkaJSConnectionClosedError: 'unreachable',
  KafkaJSRequestTimeoutError: 'unreachable',
  KafkaJSLockTimeout: 'unreachable',
  KafkaJSBrokerNotFound: 'unreachable',
  KafkaJSGroupCoordinatorNotFound: 'unreachable',
  KafkaJSTopicMetadataNotLoaded: 'unknown-topic',
}

/** kafkajs 2.2.4 has no name for this error of Kafka, PRODUCER_FENCED. */
const PRODUCER_FENCED = /error code 90\b/

/** Classifies anything that kafkajs threw: the innermost cause that has a known name decides. */
export function kafkaError(thrown: unknown): KafkaError {
  if (thrown instanceof KafkaError) return thrown
  const code = codeOf(thrown)
  const options = { cause: thrown, ...topicOf(thrown) }
  return new KafkaError(KIND_OF_CODE[code] ?? 'refused', code, `${code}: ${messageOf(thrown)}`, options)
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
    else if (code === 'UNKNOWN' || KIND_OF_CODE[error.name]) code = error.name
  }
  return code
}
