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
  decodeState,
  encodeState,
  type FinalizedStream,
  nextStep,
  type ObjectId,
  type Step,
  whenStreamsAreGone,
} from './state.ts'
