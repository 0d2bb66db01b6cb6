import type * as z from 'zod'
import { type FileRoute, type KafkaConfig, type LogConfig, type PushConfig, tableId, tableName } from './config.ts'
import type { Problem } from './problems.ts'
import { kafka, log, push, route } from './schema.ts'

/** A mapping of the file as YAML gives it. */
export type Values = Record<string, unknown>

export const objectOf = (value: unknown): Values =>
  value !== null && typeof value === 'object' ? (value as Values) : {}

/** A rule of one part: whether it is broken, the key in question, what is wrong, and the fix. */
type Rule = readonly [isBroken: unknown, key: PropertyKey, message: string, fix: string]
type NamedRoute = readonly [name: string, route: FileRoute]

/**
 * What no single key can tell: keys that need, exclude or name each other. Each part that is well formed is looked at, so that all is
 * told at once when another part is not.
 */
export function checkMeaning(values: Values): Problem[] {
  const { logs } = objectOf(values['agent'])
  const named = Object.entries(objectOf(values['routes']))
  const routes = named.flatMap(([name, value]) => part(route, value, (one): NamedRoute => [name, one]))
  return [
    ...routes.flatMap(([name, one], index) =>
      broken(['routes', name], [...routeRules(one, values), ...rivalRules(one, routes.slice(0, index), values)]),
    ),
    ...part(kafka, values['kafka'], (one) => broken(['kafka'], kafkaRules(one, objectOf(values['kafka'])))).flat(),
    ...part(push, values['push'], (one) => broken(['push'], pushRules(one))).flat(),
    ...(Array.isArray(logs) ? logs : []).flatMap((value: unknown, index, all: unknown[]) =>
      part(log, value, (one) => broken(['agent', 'logs', index], logRules(one, all.slice(0, index), values))).flat(),
    ),
  ]
}

/** What is made of a part, if it is well formed. */
function part<T, R>(schema: z.ZodType<T>, value: unknown, make: (one: T) => R): R[] {
  const { data } = schema.safeParse(value)
  return data === undefined ? [] : [make(data)]
}

function broken(at: readonly PropertyKey[], rules: readonly Rule[]): Problem[] {
  return rules.flatMap(([isBroken, key, message, fix]) => (isBroken ? [{ path: [...at, key], message, fix }] : []))
}

function routeRules(one: FileRoute, { kafka: hasKafka, bucket, push: hasPush }: Values): Rule[] {
  const { topic, prefix, schema, format, framing, multiline, preset, pattern, envelope, partition, table } = one
  const isText = format === 'text'
  const isWrapped = format === 'json' || format === 'protobuf'
  const isDelimited = framing === 'delimited' || (!framing && format === 'protobuf')
  const useless = `means nothing with format ${format}`
  return [
    [topic && !hasKafka && !one.push, 'topic', 'a topic needs Kafka', 'add kafka.brokers, or remove the topic'],
    [one.push && !hasPush, 'push', 'nobody may send', 'add push: auth, and audience and callers, or secret'],
    [!topic && !bucket && !one.push, 'topic', 'neither topic nor bucket: nothing carries it', 'add one of them'],
    [prefix && !bucket, 'prefix', 'a prefix needs a bucket', 'add bucket at the top of the file'],
    [format === 'protobuf' && !schema?.includes('#'), 'schema', 'no message is named', 'write FILE.proto#Message'],
    [format === 'json' && !schema, 'schema', 'format json needs a schema', 'add FILE.proto#Message or FILE.json'],
    [multiline && isDelimited, 'multiline', 'means nothing for length-delimited messages', 'remove it'],
    [isText && !preset === !pattern, 'preset', 'format text needs a preset or a pattern', 'give one of the two'],
    [pattern && !schema, 'schema', 'a pattern needs a schema', 'add FILE.json with a column for each named group'],
    [envelope !== 'none' && !isWrapped, 'envelope', useless, 'remove it'],
    [!pattern && Object.keys(one.convert).length > 0, 'convert', 'means nothing without a pattern', 'remove it'],
    [!isText && preset, 'preset', useless, 'write format: text, or remove it'],
    [!isText && pattern, 'pattern', useless, 'write format: text, or remove it'],
    [partition.by === 'none' && partition.field, 'partition', 'by none has no field', 'write by: day'],
    [/(^|\.)millrace_/.test(table), 'table', 'Millrace gives such names to its own tables', 'choose another'],
  ]
}

/** A topic says which route its events are of. Routes may share a table, but then they must want the same one. */
function rivalRules(one: FileRoute, before: readonly NamedRoute[], values: Values): Rule[] {
  const defaults = { project: String(values['project']), dataset: String(values['dataset']) }
  const tableOf = ({ table }: FileRoute) => tableId(tableName(table, defaults))
  const wishes = (of: FileRoute) => JSON.stringify([of.partition, of.cluster, of.labels, of.expire_after, of.metadata])
  const [topical] = before.find(([, { topic }]) => topic !== undefined && topic === one.topic) ?? []
  const [tabled] = before.find(([, other]) => tableOf(other) === tableOf(one) && wishes(other) !== wishes(one)) ?? []
  const fix = 'make partition, cluster, labels, expire_after and metadata the same, or name another table'
  return [
    [topical, 'topic', `routes.${topical} has it already`, 'use one topic for each route'],
    [tabled, 'table', `routes.${tabled} has it too, and wants it otherwise`, fix],
  ]
}

function logRules({ path, route: name }: LogConfig, before: readonly unknown[], { routes }: Values): Rule[] {
  const known = Object.keys(objectOf(routes))
  const fix = known.length > 0 ? `use one of: ${known.join(', ')}` : 'add routes'
  const isTwice = before.some((other) => objectOf(other)['path'] === path)
  return [
    [!known.includes(name), 'route', 'no such route', fix],
    [isTwice, 'path', 'another log has it already', 'remove one of them'],
  ]
}

function kafkaRules({ auth, sasl, tls }: KafkaConfig, given: Values): Rule[] {
  const hasCertificate = typeof tls === 'object' && tls.cert_file && tls.key_file
  const needsName = sasl && sasl.mechanism !== 'oauthbearer'
  return [
    [auth === 'sasl' && !sasl, 'sasl', 'auth sasl needs it', 'add mechanism, username and password'],
    [sasl && !given['auth'], 'sasl', 'means nothing without auth', 'add kafka.auth: sasl'],
    [needsName && !sasl.username, 'sasl', 'the username is missing', 'add kafka.sasl.username'],
    [sasl && !sasl.password, 'sasl', 'the password is missing', `add kafka.sasl.password: ${SECRET}`],
    [auth === 'mtls' && !hasCertificate, 'tls', 'auth mtls needs cert_file and key_file', 'add both below kafka.tls'],
  ]
}

const SECRET = '{ env: NAME } or { file: PATH }'

function pushRules({ auth, audience, callers, secret }: PushConfig): Rule[] {
  const isOidc = auth === 'oidc'
  const anybody = 'auth oidc needs it: anybody can have a token'
  return [
    [auth === 'secret' && !secret, 'secret', 'auth secret needs it', `say where it is: ${SECRET}`],
    [isOidc && !audience, 'audience', 'auth oidc needs it', 'add the URL of the function'],
    [isOidc && callers.length === 0, 'callers', anybody, 'add the accounts that may send'],
  ]
}
