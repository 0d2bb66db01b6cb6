export { type Chunk, OwnChunks } from './chunks.ts'
export { type Authority, Decider } from './decider.ts'
export { NO_FILES } from './source-files.ts'
export { Uploader } from './uploader.ts'
