import type { FileRoute, KafkaConfig, LogConfig, PushConfig } from './config.ts'
import type { Problem } from './problems.ts'
import type { FileConfig } from './schema.ts'

type Report = (path: readonly PropertyKey[], message: string, fix: string) => void

/** What no single key can tell: keys that need, exclude or name each other. */
export function checkMeaning(config: FileConfig): Problem[] {
  const problems: Problem[] = []
  const report: Report = (path, message, fix) => problems.push({ path, message, fix })
  for (const [name, route] of Object.entries(config.routes)) checkRoute(name, route, config, report)
  for (const [index, log] of config.agent.logs.entries()) checkLog(log, index, config, report)
  if (config.kafka) checkAuth(config.kafka, report)
  if (config.push) checkPush(config.push, report)
  return problems
}

const PUSH_SECTION = 'add push at the top of the file: auth, and audience and callers, or secret'

function checkRoute(name: string, route: FileRoute, config: FileConfig, reportAt: Report): void {
  const report = (key: string, message: string, fix: string) => reportAt(['routes', name, key], message, fix)
  if (route.topic && !config.kafka && !route.push)
    report('topic', 'a topic needs Kafka', 'add kafka.brokers, or remove the topic')
  if (route.push && !config.push) report('push', 'nobody may send: push needs a section of its own', PUSH_SECTION)
  if (!route.topic && !config.bucket && !route.push)
    report('topic', 'neither topic nor bucket: nothing can carry this route', 'add a topic, or a bucket')
  if (route.prefix && !config.bucket) report('prefix', 'a prefix needs a bucket', 'add bucket at the top of the file')
  if (route.format === 'protobuf' && !route.schema?.includes('.proto#')) {
    report('schema', 'format protobuf needs FILE.proto#package.Message', 'name the message that the events are')
  }
  if (route.format === 'json' && !route.schema)
    report('schema', 'format json needs a schema', 'add schema: FILE.proto#Message or FILE.json')
  if (route.multiline && (route.framing ?? (route.format === 'protobuf' ? 'delimited' : 'lines')) !== 'lines')
    report('multiline', 'means nothing for length-delimited messages', 'remove it')
  if (route.format === 'text' && (route.preset === undefined) === (route.pattern === undefined)) {
    report('preset', 'format text needs a preset or a pattern', 'give one of the two')
  }
  if (route.pattern && !route.schema)
    report('schema', 'a pattern needs a schema', 'add schema: FILE.json with a column for each named group')
  if (route.envelope === 'confluent' && route.format !== 'json' && route.format !== 'protobuf') {
    report('envelope', `means nothing with format ${route.format}`, 'remove it, or write format: json or protobuf')
  }
  if (!route.pattern && Object.keys(route.convert).length > 0)
    report('convert', 'means nothing without a pattern', 'add pattern, or remove it')
  const textOnly = route.preset ? 'preset' : 'pattern'
  if (route.format !== 'text' && route[textOnly])
    report(textOnly, `means nothing with format ${route.format}`, 'write format: text, or remove it')
}

function checkLog(log: LogConfig, index: number, { routes }: FileConfig, report: Report): void {
  if (Object.hasOwn(routes, log.route)) return
  const known = Object.keys(routes).join(', ') || 'none'
  report(['agent', 'logs', index, 'route'], 'no such route', `use one of: ${known}`)
}

function checkAuth({ auth, sasl, tls }: KafkaConfig, report: Report): void {
  if (auth === 'sasl' && !sasl) {
    report(['kafka', 'sasl'], 'auth sasl needs it', 'add kafka.sasl with mechanism, username and password')
  }
  const certificate = typeof tls === 'object' && tls.cert_file && tls.key_file
  if (auth === 'mtls' && !certificate) {
    report(['kafka', 'tls'], 'auth mtls needs cert_file and key_file', 'add both below kafka.tls')
  }
}

function checkPush({ auth, audience, callers, secret }: PushConfig, report: Report): void {
  if (auth === 'secret' && !secret)
    report(['push', 'secret'], 'auth secret needs it', 'say where it is: { env: NAME } or { file: PATH }')
  if (auth === 'oidc' && !audience) report(['push', 'audience'], 'auth oidc needs it', 'add the URL of the function')
  if (auth === 'oidc' && callers.length === 0) {
    report(['push', 'callers'], 'auth oidc needs it: anybody can have a token', 'add the accounts that may send')
  }
}
