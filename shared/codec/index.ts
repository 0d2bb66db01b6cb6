export { type Origin, originOutsideKafka } from './metadata.ts'
export { REASONS, type ReasonCode, type Rejection } from './reasons.ts'
export { type CodecRoute, compileRoute, openCodec, type RowCodec } from './route.ts'
export { ROW_BYTES_MAX, RowBuffer } from './row-buffer.ts'
