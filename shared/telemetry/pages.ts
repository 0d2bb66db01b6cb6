import { once } from 'node:events'
import type { Server } from 'node:http'
import { asUserError } from '../errors.ts'

/** What a page answers. */
export type Answer = readonly [status: number, body: string, type?: string]
type Pages = Readonly<Record<string, () => Answer>>

/**
 * Serves pages to GET, by their paths; resolves when it listens. Rejects with UserError when the port is taken, or none.
 * @param key what an operator corrects then
 * @param host absent: every address of this machine
 */
export async function servePages(port: number | string, key: string, pages: Pages, host?: string): Promise<Server> {
  const { createServer } = await import('node:http') // megabytes, for who wants them
  const nowhere = (): Answer => [404, `not found; try ${Object.keys(pages).join(', ')}\n`]
  const server = createServer(({ method, url = '' }, response) => {
    const page = method === 'GET' ? pages[url.split('?')[0]!] : undefined
    const [status, body, type = 'text/plain'] = (page ?? nowhere)()
    response.writeHead(status, { 'content-type': type }).end(body)
  })
  const listening = async () => once(server.listen(Number(port), host), 'listening')
  await listening().catch(asUserError(`cannot listen on port ${port}`, `correct ${key}`))
  return server
}
