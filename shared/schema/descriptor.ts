import type { RowType } from './kinds.ts'
import { isPlainColumnName, type RecordField, type RecordType } from './record.ts'

/** google.protobuf.DescriptorProto as a plain object, in the spelling of protobufjs. */
export interface DescriptorProto {
  readonly name: string
  readonly field: ReturnType<typeof fieldOf>[]
  readonly nestedType?: DescriptorProto[]
}

// FieldDescriptorProto.Type and .Label of google/protobuf/descriptor.proto.
const TYPES: Readonly<Record<RowType, number>> = {
  double: 1,
  float: 2,
  int64: 3,
  uint64: 4,
  int32: 5,
  bool: 8,
  string: 9,
  message: 11,
  bytes: 12,
}
const LABELS = { NULLABLE: 1, REQUIRED: 2, REPEATED: 3 } as const

/**
 * The self-contained proto2 descriptor of a row, which AppendRows takes as writer_schema: every nested message inside
 * the one that uses it, no package, no enums, no oneofs. A column name that is no identifier rides in the
 * column_name annotation.
 */
export function descriptorOf(record: RecordType, name = 'Row'): DescriptorProto {
  const nested = record.fields.flatMap((field) =>
    field.record ? [descriptorOf(field.record, messageName(name, field))] : [],
  )
  return {
    name,
    field: record.fields.map((field) => fieldOf(field, name)),
    ...(nested.length > 0 ? { nestedType: nested } : {}),
  }
}

// The path of numbers: unique in the whole descriptor, so that no reader can take an outer message for an inner one.
function messageName(parent: string, field: RecordField): string {
  return `${parent}_${field.number}`
}

function fieldOf(field: RecordField, parent: string) {
  const plain = isPlainColumnName(field.name)
  const columnName = '.google.cloud.bigquery.storage.v1.columnName'
  const options = { ...(field.packed && { packed: true }), ...(!plain && { [columnName]: field.name }) }
  return {
    name: plain ? field.name : `col_${field.number}`,
    number: field.number,
    label: LABELS[field.mode],
    type: TYPES[field.rowType],
    ...(field.record && { typeName: messageName(parent, field) }),
    ...(Object.keys(options).length > 0 && { options }),
  }
}
