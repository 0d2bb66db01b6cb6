import * as z from 'zod'
import { MULTILINE_PRESETS } from '../framing/index.ts'
import { duration, size } from './units.ts'

/** BigQuery allows 1,024 letters, digits and underscores in a dataset's name, and more in a table's; this is what every tool accepts. */
const DATASET = /^[A-Za-z0-9_]{1,1024}$/
const TABLE = /^(?:(?:[a-z][a-z0-9.:-]{4,60}\.)?[A-Za-z0-9_]{1,1024}\.)?[A-Za-z0-9_-]{1,1024}$/
const SCHEMA = /\.(?:json|proto#[\w.]+)$/
const TOPIC = /^[A-Za-z0-9._-]{1,249}$/
const NAME = /^[a-z][a-z0-9-]{0,40}$/
const ROUTE = /^[A-Za-z][A-Za-z0-9_-]{0,62}$/
const BUCKET = /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/
/** minute, hour, day of month, month, day of week; Cloud Scheduler looks closer. */
const CRON = /^[\w*,/-]+( +[\w*,/-]+){4}$/
/** "Labels": requirements. */
const LABEL_KEY = /^[a-z][a-z0-9_-]{0,62}$/
const LABEL_VALUE = /^[a-z0-9_-]{0,63}$/
const PRESETS = Object.keys(MULTILINE_PRESETS) as [keyof typeof MULTILINE_PRESETS]
/** It travels in the metadata of chunks. */
const START_CHARACTERS_MAX = 1000
/** Below it nothing moves. */
const RATE_MIN = '1KiB'
/** A file system asked more often than this costs more than it tells. */
const POLL_MIN = '10ms'
/** A request of the Storage Write API has 10 MB, everything around the rows included. */
const APPEND_MAX = '8MiB'
/** BigQuery's limit of clustering columns. */
const CLUSTER_COLUMNS_MAX = 4

function isExpression(text: string): boolean {
  try {
    return new RegExp(text) instanceof RegExp
  } catch {
    return false
  }
}

/** An `error` says what to write instead. */
const matching = (form: RegExp, expected: string) => z.string().regex(form, { error: expected })

const name = matching(NAME, 'lower-case letters, digits and dashes, a letter first, at most 41')
const port = z.int().min(0).max(65_535)
const text = z.string().min(1)
const optionalText = z.string().optional()
const positive = z.int().min(1)
const lasting = (standard: string) => duration().prefault(standard)
const flag = z.boolean().default(false)

const SECRET_FORM = 'where the secret is, { env: NAME } or { file: PATH }: it never stands in this file'
/** A secret is never in the file: this says where it is. */
const secret = z
  .strictObject(
    {
      env: text.optional().describe('name of the environment variable that holds it'),
      file: text.optional().describe('path of the file that holds it'),
    },
    { error: ({ code }) => (code === 'invalid_type' ? SECRET_FORM : undefined) },
  )
  .refine((where) => (where.env === undefined) !== (where.file === undefined), { error: 'either env or file' })

const sasl = z.strictObject({
  mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer']),
  username: optionalText,
  password: secret.optional().describe('where the password is (for oauthbearer: the token)'),
})

const tls = z.strictObject({
  ca_file: optionalText.describe('certificate authority in PEM; absent: the public ones'),
  cert_file: optionalText.describe('client certificate in PEM'),
  key_file: optionalText.describe("client certificate's key in PEM"),
})

export const kafka = z.strictObject({
  brokers: z.array(matching(/^[^\s:]+:[0-9]{1,5}$/, 'host:port')).min(1),
  auth: z.enum(['none', 'google', 'sasl', 'mtls']).default('none'),
  sasl: sasl.optional(),
  tls: z.union([z.boolean(), tls]).default(false).describe('true, or where the certificates are'),
})

const consumer = z.strictObject({
  mode: z.enum(['worker', 'drain']).default('worker'),
  schedule: matching(CRON, 'five fields, as in */5 * * * *')
    .default('* * * * *')
    .describe('cron expression of the drain'),
  flush_bytes: size('1B', APPEND_MAX).prefault('1MiB').describe('an append is sent when its rows reach this size'),
  flush_after: lasting('200ms').describe('... or when its first row is this old'),
  in_flight: positive.max(32).default(4).describe('appends under way for one partition'),
  queue_bytes: size().prefault('32MiB').describe('fetched and not yet appended; beyond it partitions pause'),
  fetch_bytes: size().prefault('1MiB').describe('fetched from one partition at once'),
  session_timeout: lasting('30s').describe("Kafka's session time-out of a member"),
  answer_within: lasting('60s').describe(
    'an append without an answer for this long is taken for lost: its stream is closed and counted',
  ),
  budget: duration('8s').prefault('50s').describe('how long one drain may work'),
  stop_within: lasting('8s').describe('after SIGTERM; Cloud Run kills after 10 s'),
  port: port.optional().describe('health and metrics of the worker; absent: PORT of the environment, or none'),
})

export const push = z.strictObject({
  auth: z.enum(['oidc', 'secret']).describe('what a sender shows in the header Authorization'),
  audience: text.optional().describe('oidc: the audience of the tokens, such as the URL of kafka-push'),
  callers: z.array(text).default([]).describe('oidc: accounts that may send, by e-mail or unique id'),
  secret: secret.optional().describe('secret: where the shared secret is'),
})

const partition = z.strictObject({
  field: optionalText.describe('a DATE, DATETIME or TIMESTAMP column; absent: the time of ingestion'),
  by: z.enum(['none', 'day', 'hour', 'month']).default('day'),
})

const conversion = z.strictObject({
  type: z.enum(['string', 'int', 'float', 'timestamp', 'bool']).default('string'),
  format: optionalText.describe('strftime form of a timestamp, such as %d/%b/%Y:%H:%M:%S %z'),
  zone: optionalText.describe('zone of timestamps that name none, such as +01:00 or Europe/Berlin; default UTC'),
  null_marker: optionalText.describe('the text that stands for NULL, such as -'),
})

const multiline = z
  .strictObject({
    preset: z.enum(PRESETS).optional().describe('the stack traces of a language'),
    start: text
      .max(START_CHARACTERS_MAX)
      .refine(isExpression, { error: 'a regular expression' })
      .optional()
      .describe('regular expression; a line that does not match it continues the event before'),
    timeout: lasting('1s').describe(
      'the last event of a file is taken for whole when the file has not grown for this long',
    ),
  })
  .refine((how) => (how.preset === undefined) !== (how.start === undefined), { error: 'either preset or start' })

export const route = z.strictObject({
  topic: matching(TOPIC, 'a topic name of letters, digits, dot, dash and underscore').optional(),
  prefix: text.optional().describe('foreign objects of the bucket below this prefix'),
  schema: matching(SCHEMA, 'FILE.proto#package.Message or FILE.json')
    .optional()
    .describe('FILE.proto#package.Message, or FILE.json as bq show --schema prints it'),
  format: z.enum(['json', 'protobuf', 'text', 'raw']).default('json'),
  framing: z.enum(['lines', 'delimited']).optional().describe('default: delimited for protobuf, else lines'),
  multiline: multiline.optional().describe('an event may have several lines'),
  envelope: z
    .enum(['none', 'confluent'])
    .default('none')
    .describe("confluent: values may begin with the head of Confluent's serializers, which is taken off"),
  preset: z.enum(['combined', 'common', 'logfmt']).optional(),
  pattern: text.optional().describe('regular expression with named groups'),
  convert: z.record(z.string(), conversion).default({}).describe('how a named group becomes a value'),
  table: matching(TABLE, 'table, dataset.table or project.dataset.table'),
  partition: partition.default({ by: 'none' }),
  cluster: z.array(z.string()).max(CLUSTER_COLUMNS_MAX).default([]),
  labels: z
    .record(
      matching(LABEL_KEY, 'lower-case letters, digits, dash and underscore, a letter first, at most 63'),
      matching(LABEL_VALUE, 'lower-case letters, digits, dash and underscore, at most 63'),
    )
    .default({}),
  expire_after: duration()
    .optional()
    .describe('partitions (or, without partitions, the table) are deleted after this time'),
  unknown: z.enum(['keep', 'drop', 'reject']).default('keep').describe('fields that the schema does not have'),
  metadata: z.string().default('millrace').describe('name of the metadata column'),
  from: z.enum(['start', 'end']).default('start').describe('where a consumer without a commit begins'),
  push: flag.describe('kafka-push takes the events over HTTP, at least once; worker and drain leave the topic alone'),
  stop_after: positive.default(10_000).describe('dead letters that stop the route; each row makes up for a hundred'),
})

export const log = z.strictObject({
  path: text.describe('a path or a glob'),
  route: text,
  complete: flag.describe('the newest file will not grow for ever: finish it too, after finish_after'),
  rate_limit: size(RATE_MIN)
    .optional()
    .describe('bytes a second that are published, at most; what is beyond waits in the file'),
})

const agent = z.strictObject({
  // `millrace.agent.web.1` is the first further group of `web`.
  id: matching(
    /^(?!.*\.\d+$)[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/,
    'letters, digits, dot, dash and underscore, without a dot and a number at the end',
  )
    .optional()
    .describe('default: the host name'),
  logs: z.array(log).default([]),
  from: z.enum(['start', 'end']).default('start').describe('where an agent without positions begins'),
  poll_interval: duration(POLL_MIN)
    .prefault('1s')
    .describe('the safety net below the notifications of the file system'),
  linger: lasting('20ms').describe('how long a batch waits for more events'),
  batch_bytes: size('16KiB', '64MiB')
    .prefault('1MiB')
    .describe('records of one partition in one transaction, before compression'),
  compression: z.enum(['none', 'gzip', 'zstd']).default('zstd'),
  max_event_bytes: size('1B', '64MiB').prefault('1MiB').describe('a longer event becomes a dead letter'),
  /** The longest that a broker allows unless it is told otherwise (transaction.max.timeout.ms). */
  transaction_timeout: duration('1s', '15m').prefault('15s'),
  finish_after: lasting('60s').describe('a file that is not the newest and unchanged for this long is finished'),
  handover_after: lasting('1h').describe('finished for this long and not carried by Kafka: the chunk carries it'),
  after_upload: z.enum(['keep', 'delete']).default('keep'),
  stop_within: lasting('8s'),
  lock_file: optionalText.describe(
    'default: millrace-<id>.lock in STATE_DIRECTORY, else in the folder for temporary files',
  ),
  port: port.optional().describe('status, metrics and health on 127.0.0.1; absent: none'),
})

const endpoints = z.strictObject({
  bigquery: z.url().optional().describe('http://host:port of a BigQuery REST server'),
  bigquery_storage: matching(/^[^\s:/]+:[0-9]{1,5}$/, 'host:port')
    .optional()
    .describe('host:port of a Storage Write server, without TLS'),
  storage: z.url().optional().describe('http://host:port of a Cloud Storage server'),
})

const local = z.strictObject({
  ports: z
    .strictObject({
      kafka: port.default(0),
      bigquery: port.default(0),
      bigquery_storage: port.default(0),
      storage: port.default(0),
      faults: port.default(0),
      functions: port.default(0),
      page: port.default(0),
    })
    .prefault({})
    .describe('0: any free port'),
})

/** The form of `millrace.yaml`. Unknown keys are errors. */
export const fileSchema = z.strictObject({
  name: name.default('millrace').describe('prefix of everything that is created'),
  project: text,
  region: text.default('US').describe('location of the dataset and the bucket'),
  dataset: matching(DATASET, 'letters, digits and underscores'),
  bucket: matching(BUCKET, 'the name of a bucket, as in my-logs').optional(),
  kafka: kafka.optional().describe('absent: logs travel by chunks only'),
  consumer: consumer.prefault({}),
  push: push.optional().describe('who may send to kafka-push; needed by routes with push'),
  chunk_claim: lasting('10m').describe('the chunk of a function that died waits this long for another one'),
  routes: z.record(matching(ROUTE, 'letters, digits, dash and underscore, a letter first'), route),
  agent: agent.prefault({}),
  endpoints: endpoints.default({}).describe('other servers than the real ones: the embedded cloud'),
  local: local.prefault({}),
})

/** The file, checked: durations in milliseconds, sizes in bytes. */
export type FileConfig = z.output<typeof fileSchema>
