import { messageOf } from '../shared/errors.ts'
import { type KafkaClient, listGroups, type TopicPartition } from '../shared/kafka/index.ts'
import type { AgentStatus, Position } from '../shared/status/index.ts'
import { positionsGroup, positionsStore, readLedgers } from './publish/index.ts'

const ANSWER_WITHIN_MS = 2000
/** A group with what did not fit into the one before: the id of an agent does not end so. */
const FURTHER = /\.\d+$/

/** What the agent on this host says of itself. Rejects when none answers at that port. */
export async function askAgent(port: number): Promise<AgentStatus> {
  const page = `http://127.0.0.1:${port}/status`
  const signal = AbortSignal.timeout(ANSWER_WITHIN_MS)
  const response = await fetch(page, { signal }).catch(({ message, cause = message }: Error) => {
    throw new Error(`no agent answers at ${page}: ${messageOf(cause)}`)
  })
  if (!response.ok) throw new Error(`${page} answers ${response.status}: that is no agent`)
  return (await response.json()) as AgentStatus
}

/** Every agent's positions in these partitions. Changes nothing and fences nobody. Rejects with KafkaError, or UserError. */
export async function readAllPositions(client: KafkaClient, partitions: readonly TopicPartition[]) {
  const prefix = positionsGroup('')
  const groups = (await listGroups(client, prefix)).filter((group) => !FURTHER.test(group))
  const positions: Position[] = []
  for (const agent of groups.map((group) => group.slice(prefix.length))) {
    const ledgers = await readLedgers(positionsStore(client), agent, partitions)
    ledgers.forEach((ledger, i) => {
      const { topic, partition } = partitions[i]!
      for (const { source, position, size, handed, retired } of ledger.entries)
        positions.push({ agent, topic, partition, source, position, size, handed, retired })
    })
  }
  return positions
}
