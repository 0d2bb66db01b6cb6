export { type Chunk, OwnChunks } from './chunks.ts'
export { Decider } from './decider.ts'
export { Uploader } from './uploader.ts'
