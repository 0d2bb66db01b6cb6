import { agentPlan, describeAgentHarm, laneOfAgentHarm } from './agent/plan.ts'
import { AgentWorld } from './agent/world.ts'
import { runChaos } from './harness/program.ts'

/**
 * `npm run chaos -- agent --seed S --for 60s`: steady writing and rotation of every kind, while a seeded plan kills agents, freezes
 * them until another one has taken over, breaks, loses and holds back what they say to the broker, kills the broker, and makes the
 * bucket fail. At the end everything heals, and each line must be carried once: by the topic, or by the range of a chunk.
 */
await runChaos({
  name: 'agent',
  plan: agentPlan,
  describe: describeAgentHarm,
  laneOf: laneOfAgentHarm,
  world: (folder, seed) => new AgentWorld(folder, seed),
})
