import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type RunningKafka, startKafka } from '../../local/kafka/index.ts'
import { freePorts } from '../../local/kafka/ports.ts'

/** Three brokers, each topic on all of them, two needed for a write. The first is the controller too: it must live. */
const REPLICATED = {
  'default.replication.factor': '3',
  'min.insync.replicas': '2',
  'offsets.topic.replication.factor': '3',
  'transaction.state.log.replication.factor': '3',
  'transaction.state.log.min.isr': '2',
  // A broker that has come back leads again what it led, after a second or two.
  'leader.imbalance.check.interval.seconds': '1',
  'leader.imbalance.per.broker.percentage': '0',
}

/** By node id; the caller stops them, the first one last. */
export async function startCluster(folder: string): Promise<ReadonlyMap<number, RunningKafka>> {
  const env = { ...process.env, KAFKA_BROKERS: '' }
  const dataDir = (node: number) => join(folder, `node-${node}`)
  const first = await startKafka({ dataDir: dataDir(1), env, properties: REPLICATED })
  const properties = readFileSync(join(dataDir(1), 'kafka', 'server.properties'), 'utf8')
  const voters = /^controller\.quorum\.voters=(.*)$/m.exec(properties)?.[1] ?? ''
  const start = async (node: number) => {
    const { plain: port } = await freePorts(0)
    const own = {
      'process.roles': 'broker',
      'node.id': `${node}`,
      'controller.quorum.voters': voters,
      listeners: `PLAINTEXT://127.0.0.1:${port}`,
    }
    return startKafka({ dataDir: dataDir(node), env, port, properties: { ...REPLICATED, ...own } })
  }
  const [second, third] = await Promise.all([start(2), start(3)])
  return new Map([
    [1, first],
    [2, second],
    [3, third],
  ])
}
