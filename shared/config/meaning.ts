import type { Problem } from './problems.ts'
import type { FileConfig } from './schema.ts'

type FileRoute = FileConfig['routes'][string]

/** What no single key can tell: keys that need, exclude or name each other. */
export function checkMeaning(config: FileConfig): Problem[] {
  return [
    ...Object.entries(config.routes).flatMap(([name, route]) => checkRoute(name, route, config)),
    ...config.agent.logs.flatMap((log, index) => checkLog(log, index, config)),
    ...checkAuth(config),
  ]
}

function checkRoute(name: string, route: FileRoute, config: FileConfig): Problem[] {
  const path = ['routes', name]
  const problems: Problem[] = []
  const report = (key: string, message: string, fix: string) => problems.push({ path: [...path, key], message, fix })
  if (route.topic && !config.kafka) report('topic', 'a topic needs Kafka', 'add kafka.brokers, or remove the topic')
  if (!route.topic && !config.bucket)
    report('topic', 'neither topic nor bucket: nothing can carry this route', 'add a topic, or a bucket')
  if (route.prefix && !config.bucket) report('prefix', 'a prefix needs a bucket', 'add bucket at the top of the file')
  if (route.format === 'protobuf' && !route.schema?.includes('.proto#')) {
    report('schema', 'format protobuf needs FILE.proto#package.Message', 'name the message that the events are')
  }
  if (route.format === 'json' && !route.schema)
    report('schema', 'format json needs a schema', 'add schema: FILE.proto#Message or FILE.json')
  if (route.format === 'text' && (route.preset === undefined) === (route.pattern === undefined)) {
    report('preset', 'format text needs a preset or a pattern', 'give one of the two')
  }
  if (route.pattern && !route.schema)
    report('schema', 'a pattern needs a schema', 'add schema: FILE.json with a column for each named group')
  if (route.format !== 'text' && (route.preset ?? route.pattern)) {
    report(
      route.preset ? 'preset' : 'pattern',
      `means nothing with format ${route.format}`,
      'write format: text, or remove it',
    )
  }
  return problems
}

function checkLog(log: FileConfig['agent']['logs'][number], index: number, config: FileConfig): Problem[] {
  if (Object.hasOwn(config.routes, log.route)) return []
  const known = Object.keys(config.routes).join(', ') || 'none'
  return [{ path: ['agent', 'logs', index, 'route'], message: 'no such route', fix: `use one of: ${known}` }]
}

function checkAuth({ kafka }: FileConfig): Problem[] {
  if (!kafka) return []
  const problems: Problem[] = []
  if (kafka.auth === 'sasl' && !kafka.sasl) {
    problems.push({
      path: ['kafka', 'sasl'],
      message: 'auth sasl needs it',
      fix: 'add kafka.sasl with mechanism, username and password',
    })
  }
  const certificates = typeof kafka.tls === 'object' ? kafka.tls : undefined
  if (kafka.auth === 'mtls' && !(certificates?.cert_file && certificates.key_file)) {
    problems.push({
      path: ['kafka', 'tls'],
      message: 'auth mtls needs cert_file and key_file',
      fix: 'add both below kafka.tls',
    })
  }
  return problems
}
