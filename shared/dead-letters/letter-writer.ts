import type { DefaultWriter } from '../warehouse/index.ts'

/** Rows of one request: well below the service's 20 MB. */
const REQUEST_BYTES_MAX = 8 * 1024 * 1024

/** Dead letters of one dataset: at least once, each written before `write` resolves. @param writer of the table of dead letters */
export function openLetterWriter(writer: DefaultWriter) {
  return {
    /** Tries until it is done. Rejects only when `signal` fires, or when BigQuery refuses a letter as such. */
    async write(entries: readonly Buffer[], signal: AbortSignal): Promise<void> {
      const refused = (await Promise.all(requestsOf(entries).map((rows) => writer.write(rows, signal)))).flat()
      if (refused.length === 0) return
      throw new Error(`BigQuery refuses a dead letter: ${refused.map(({ message }) => message).join('; ')}`)
    },
  }
}

function requestsOf(entries: readonly Buffer[]): Buffer[] {
  const requests: Buffer[][] = []
  let bytes = Infinity
  for (const entry of entries) {
    if (bytes + entry.length > REQUEST_BYTES_MAX) {
      requests.push([])
      bytes = 0
    }
    requests.at(-1)?.push(entry)
    bytes += entry.length
  }
  return requests.map((request) => Buffer.concat(request))
}
