import type { RecordType } from '../schema/index.ts'
import { UTF8 } from './reasons.ts'
import type { RowBuffer } from './row-buffer.ts'
import { isUtf8 } from './strings.ts'
import type { Walker } from './walker.ts'

/** The schema of `format: raw`: one column with the whole line. */
export const RAW_RECORD: RecordType = {
  name: 'raw',
  origin: 'bigquery',
  ignored: [],
  fields: [
    { name: 'line', type: 'STRING', mode: 'NULLABLE', number: 1, rowType: 'string', packed: false, attributes: {} },
  ],
}

/** The event as it is. */
export class RawWalker implements Walker {
  readonly path = 'line'

  walk(input: Buffer, start: number, end: number, out: RowBuffer): number {
    if (!isUtf8(input, start, end)) return UTF8
    out.reserve(1)
    out.varint((1 << 3) | 2)
    out.lengthAndCopy(input, start, end)
    return 0
  }
}
