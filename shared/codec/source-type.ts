import type { ProtoSource } from '../schema/index.ts'
import { FIXED32, FIXED64, GROUP, LENGTH, VARINT } from './wire.ts'

const VARINTS = new Set(['int32', 'int64', 'uint32', 'uint64', 'sint32', 'sint64', 'bool', 'enum'])

/** The wire type of a value of a kind. */
export function scalarType(kind: string): number {
  if (kind === 'fixed64' || kind === 'sfixed64' || kind === 'double') return FIXED64
  if (kind === 'fixed32' || kind === 'sfixed32' || kind === 'float') return FIXED32
  return VARINTS.has(kind) ? VARINT : LENGTH
}

/** The wire type of a field in its source, one value at a time. */
export function sourceType(proto: ProtoSource): number {
  if (proto.delimited) return GROUP
  return proto.wrapper ? LENGTH : scalarType(proto.kind)
}
