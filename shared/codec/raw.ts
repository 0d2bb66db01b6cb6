import { recordFromTableSchema } from '../schema/index.ts'
import { writeString } from './text-values.ts'
import type { Walker } from './walker.ts'

/** The schema of `format: raw`: one column with the whole line. */
export const RAW_RECORD = recordFromTableSchema([{ name: 'line', type: 'STRING' }], 'raw', 'format')

/** The event as it is. */
export const rawWalker: Walker = {
  path: 'line',
  walk(input, start, end, out) {
    out.tag((1 << 3) | 2)
    return writeString(input, start, end, out)
  },
}
