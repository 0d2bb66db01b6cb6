export {
  type AgentConfig,
  type Config,
  type ConsumerConfig,
  type Endpoints,
  type KafkaConfig,
  type PushConfig,
  type Route,
  type TableName,
  tableId,
} from './config.ts'
export { jsonSchema } from './json-schema.ts'
export { loadConfig, parseConfig } from './load.ts'
export { readSecret } from './secret.ts'
