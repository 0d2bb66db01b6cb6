export type { AppendAnswer, RefusedRow } from './answers.ts'
export type { Appender, AppenderOptions } from './appender.ts'
export { type DefaultWriter, openDefaultWriter } from './default-writer.ts'
export { highestOffset } from './highest-offset.ts'
export type { Row } from './query.ts'
export { defaultStream, isStreamOf, type StreamName } from './streams.ts'
export { type SchemaChange, planChange, type TableSpec, type ViewSpec } from './table-spec.ts'
export { refusedChange, type TableState } from './tables.ts'
export { openWarehouse, type Warehouse } from './warehouse.ts'
export {
  beside,
  DEAD_LETTERS,
  DEAD_LETTERS_VIEW,
  encodeFixedRow,
  SOURCES,
  SOURCES_VIEW,
} from './fixed-tables.ts'
export { ensureRouteTables, tableSpec } from './route-tables.ts'
