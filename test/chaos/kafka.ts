import { runChaos } from './harness/program.ts'
import { describeKafkaHarm, kafkaPlan, laneOfKafkaHarm } from './kafka/plan.ts'
import { KafkaWorld } from './kafka/world.ts'

/**
 * `npm run chaos -- kafka --seed S --for 60s`: workers between a real broker and the BigQuery stand-in, while a seeded plan kills,
 * freezes, adds and replaces workers, kills the broker, breaks, loses and holds back what they say to it, lets streams expire, and makes
 * BigQuery fail in every way it can. At the end everything heals, the lag must go to zero, and SQL says whether each event is there once.
 */
await runChaos({
  name: 'kafka',
  plan: kafkaPlan,
  describe: describeKafkaHarm,
  laneOf: laneOfKafkaHarm,
  world: (folder) => new KafkaWorld(folder),
})
