export { type Chunk, OwnChunks } from './chunks.ts'
export { type Authority, Decider } from './decider.ts'
export { Uploader } from './uploader.ts'
