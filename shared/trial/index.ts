export { createRowReader } from './row-reader.ts'
export { type Outcome, tryEvents } from './try-events.ts'
