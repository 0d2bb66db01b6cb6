import type * as z from 'zod'
import { type FileRoute, type KafkaConfig, type LogConfig, type PushConfig, tableId, tableName } from './config.ts'
import type { Problem } from './problems.ts'
import { kafka, log, push, route } from './schema.ts'

/** A mapping of the file as YAML gives it. */
export type Values = Record<string, unknown>

export function objectOf(value: unknown): Values {
  return value !== null && typeof value === 'object' ? (value as Values) : {}
}

/** A rule, and whether it is broken; the key stands below the part that is looked at. */
type Rule = readonly [isBroken: unknown, key: PropertyKey, message: string, fix: string]
type NamedRoute = readonly [name: string, route: FileRoute]

const SECRET = 'say where it is: { env: NAME } or { file: PATH }'

/**
 * What no single key can tell: keys that need, exclude or name each other. Each part that is well formed is looked at, so that all is
 * told at once when another part is not.
 */
export function checkMeaning(values: Values): Problem[] {
  const { logs } = objectOf(values['agent'])
  const routes = Object.entries(objectOf(values['routes'])).flatMap(([name, value]): NamedRoute[] => {
    const well = part(route, value)
    return well ? [[name, well]] : []
  })
  const [broker, sender] = [part(kafka, values['kafka']), part(push, values['push'])]
  return [
    ...routes.flatMap(([name, one], index) => [
      ...broken(['routes', name], routeRules(one, values)),
      ...broken(['routes', name], rivalRules(one, routes.slice(0, index), values)),
    ]),
    ...(broker ? broken(['kafka'], kafkaRules(broker, objectOf(values['kafka']))) : []),
    ...(sender ? broken(['push'], pushRules(sender)) : []),
    ...(Array.isArray(logs) ? logs : []).flatMap((value: unknown, index, all: unknown[]) => {
      const well = part(log, value)
      return well ? broken(['agent', 'logs', index], logRules(well, all.slice(0, index), values)) : []
    }),
  ]
}

const part = <T>(schema: z.ZodType<T>, value: unknown): T | undefined => schema.safeParse(value).data

function broken(at: readonly PropertyKey[], rules: readonly Rule[]): Problem[] {
  return rules.flatMap(([isBroken, key, message, fix]) => (isBroken ? [{ path: [...at, key], message, fix }] : []))
}

function routeRules(one: FileRoute, { kafka: hasKafka, bucket, push: sender }: Values): Rule[] {
  const { topic, prefix, schema, format, framing, multiline, preset, pattern, envelope, partition } = one
  const delimited = (framing ?? (format === 'protobuf' ? 'delimited' : 'lines')) === 'delimited'
  const isText = format === 'text'
  const wrapped = format === 'json' || format === 'protobuf'
  return [
    [topic && !hasKafka && !one.push, 'topic', 'a topic needs Kafka', 'add kafka.brokers, or remove the topic'],
    [one.push && !sender, 'push', 'nobody may send: push needs a section of its own', PUSH_SECTION],
    [!topic && !bucket && !one.push, 'topic', NO_CARRIER, 'add a topic, or a bucket'],
    [prefix && !bucket, 'prefix', 'a prefix needs a bucket', 'add bucket at the top of the file'],
    [
      format === 'protobuf' && !schema?.includes('#'),
      'schema',
      'format protobuf needs a message',
      'write FILE.proto#Name',
    ],
    [
      format === 'json' && !schema,
      'schema',
      'format json needs a schema',
      'add FILE.proto#package.Message or FILE.json',
    ],
    [multiline && delimited, 'multiline', 'means nothing for length-delimited messages', 'remove it'],
    [isText && !preset === !pattern, 'preset', 'format text needs a preset or a pattern', 'give one of the two'],
    [pattern && !schema, 'schema', 'a pattern needs a schema', 'add FILE.json with a column for each named group'],
    [envelope !== 'none' && !wrapped, 'envelope', `means nothing with format ${format}`, 'remove it'],
    [!pattern && Object.keys(one.convert).length > 0, 'convert', 'means nothing without a pattern', 'remove it'],
    [!isText && preset, 'preset', `means nothing with format ${format}`, 'write format: text, or remove it'],
    [!isText && pattern, 'pattern', `means nothing with format ${format}`, 'write format: text, or remove it'],
    [partition.by === 'none' && partition.field, 'partition', 'by none has no field', 'write by: day, or remove field'],
    [/(^|\.)millrace_/.test(one.table), 'table', 'such names are those of tables of its own', 'choose another name'],
  ]
}

const NO_CARRIER = 'neither topic nor bucket: nothing can carry this route'
const PUSH_SECTION = 'add push at the top of the file: auth, and audience and callers, or secret'

/** A topic says which route its events are of. Routes may share a table, but then they must want the same one. */
function rivalRules(one: FileRoute, before: readonly NamedRoute[], values: Values): Rule[] {
  const defaults = { project: String(values['project']), dataset: String(values['dataset']) }
  const tableOf = ({ table }: FileRoute) => tableId(tableName(table, defaults))
  const wishes = (of: FileRoute) => JSON.stringify([of.partition, of.cluster, of.labels, of.expire_after, of.metadata])
  const [topical] = before.find(([, { topic }]) => topic !== undefined && topic === one.topic) ?? []
  const [tabled] = before.find(([, other]) => tableOf(other) === tableOf(one) && wishes(other) !== wishes(one)) ?? []
  const otherwise = `routes.${tabled} has it too, with another partition, cluster, labels, expire_after or metadata`
  return [
    [topical, 'topic', `routes.${topical} has it already`, 'use one topic for each route'],
    [tabled, 'table', otherwise, 'make these the same, or name another table'],
  ]
}

function logRules({ path, route: name }: LogConfig, before: readonly unknown[], { routes }: Values): Rule[] {
  const known = Object.keys(objectOf(routes))
  return [
    [
      !known.includes(name),
      'route',
      'no such route',
      known.length > 0 ? `use one of: ${known.join(', ')}` : 'add it below routes',
    ],
    [
      before.some((other) => objectOf(other)['path'] === path),
      'path',
      'another log has it already',
      'remove one of them',
    ],
  ]
}

function kafkaRules({ auth, sasl, tls }: KafkaConfig, given: Values): Rule[] {
  const certificate = typeof tls === 'object' && tls.cert_file && tls.key_file
  const isName = sasl?.mechanism !== 'oauthbearer'
  return [
    [auth === 'sasl' && !sasl, 'sasl', 'auth sasl needs it', 'add kafka.sasl with mechanism, username and password'],
    [sasl && !given['auth'], 'sasl', 'means nothing without auth', 'add kafka.auth: sasl'],
    [sasl && isName && !sasl.username, 'sasl', `${sasl?.mechanism} needs a username`, 'add kafka.sasl.username'],
    [sasl && !sasl.password, 'sasl', `${sasl?.mechanism} needs a password`, `add kafka.sasl.password: ${SECRET}`],
    [auth === 'mtls' && !certificate, 'tls', 'auth mtls needs cert_file and key_file', 'add both below kafka.tls'],
  ]
}

function pushRules({ auth, audience, callers, secret }: PushConfig): Rule[] {
  const oidc = auth === 'oidc'
  return [
    [auth === 'secret' && !secret, 'secret', 'auth secret needs it', SECRET],
    [oidc && !audience, 'audience', 'auth oidc needs it', 'add the URL of the function'],
    [
      oidc && callers.length === 0,
      'callers',
      'auth oidc needs it: anybody can have a token',
      'add the accounts that may send',
    ],
  ]
}
