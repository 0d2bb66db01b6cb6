export { askChunks } from './chunks.ts'
export { askConsumer, findTopics, type Topics } from './consumer.ts'
export type * from './report.ts'
