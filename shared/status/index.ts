export { askChunks } from './chunks.ts'
export { askConsumer, findTopics, type Topics } from './consumer.ts'
export {
  type AgentStatus,
  type LetterCount,
  type Position,
  type SourceStatus,
  type StatusReport,
} from './report.ts'
