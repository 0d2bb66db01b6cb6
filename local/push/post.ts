import { request as httpRequest } from 'node:http'

/** What became of a request: the status that was answered, or why there was none. */
export type Posted = { status: number } | { failure: string }

export interface PostOptions {
  headers: Record<string, string>
  body: string
  timeoutMs: number
  /** Ends the request at once. */
  signal: AbortSignal
}

/** POSTs to an HTTP URL and waits for the whole answer, up to `timeoutMs`. Never throws. */
export function post(url: string, { headers, body, timeoutMs, signal }: PostOptions): Promise<Posted> {
  const bytes = Buffer.from(body)
  return new Promise((resolve) => {
    const deadline = AbortSignal.timeout(timeoutMs)
    const fail = (error: Error) =>
      resolve({ failure: deadline.aborted ? `no answer within ${timeoutMs} ms` : `${url}: ${error.message}` })
    try {
      const request = httpRequest(url, {
        method: 'POST',
        headers: { ...headers, 'content-length': bytes.length },
        // No kept connections: a function that is restarted would cost an attempt for each of them.
        agent: false,
        signal: AbortSignal.any([signal, deadline]),
      })
      request.on('error', fail)
      request.on('response', (response) => {
        response.on('error', fail)
        response.on('end', () => resolve({ status: response.statusCode ?? 0 }))
        response.resume()
      })
      request.end(bytes)
    } catch (error) {
      fail(error as Error)
    }
  })
}
