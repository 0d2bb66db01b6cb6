import { createReadStream } from 'node:fs'
import { asUserError } from '../errors.ts'
import { createCutter, cutEvents } from '../framing/index.ts'

/** What is looked at of each file. */
const EVENTS_MAX = 20_000
const BYTES_MAX = 64 * 1024 * 1024
const EVENT_BYTES_MAX = 1024 * 1024

/** The first lines of a log, plain or compressed. @throws UserError when it cannot be read */
export async function readSample(file: string): Promise<Buffer[]> {
  const lines: Buffer[] = []
  let bytes = 0
  const cutter = createCutter({ kind: 'lines', maxEventBytes: EVENT_BYTES_MAX }, 0)
  try {
    for await (const { buffer, events } of cutEvents(createReadStream(file), cutter)) {
      for (let i = 0; i < events.count; i++) {
        if (lines.length === EVENTS_MAX || bytes > BYTES_MAX) return lines
        if (events.dead[i] === 0) lines.push(Buffer.from(buffer.subarray(events.valueStart[i], events.valueEnd[i])))
        bytes += events.size[i] ?? 0
      }
    }
    return lines
  } catch (error) {
    return asUserError(`cannot read ${file}`, 'name a file that is there and may be read')(error)
  }
}
