export { type Bucket, type ObjectView, openBucket, type PatchAnswer, type UploadAnswer } from './bucket.ts'
export {
  checksumText,
  type ChunkMetadata,
  decodeMetadata,
  encodeMetadata,
  encodeRanges,
  type Range,
  RANGES_KEY,
  type Ranges,
  STATE_KEY,
} from './metadata.ts'
export { type ChunkName, chunkName, parseChunkName } from './names.ts'
export {
  type ChunkState,
  type Committing,
  encodeState,
  type FinalizedStream,
  nextStep,
  objectId,
  stateOf,
  whenStreamsAreGone,
} from './state.ts'
