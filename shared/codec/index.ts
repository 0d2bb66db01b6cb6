export { type Origin, originOutsideKafka } from './metadata.ts'
export { REASONS, type ReasonCode, type Rejection } from './reasons.ts'
export { type CodecRoute, compileRoute, openCodec, ROW_BYTES_MAX, type RowCodec } from './route.ts'
export { RowBuffer } from './row-buffer.ts'
