import { getTestServer } from '@google-cloud/functions-framework/testing'
import '../functions/index.ts'

/** Serves one function on 127.0.0.1: node local/function-server.ts TARGET PORT */
const [target = '', port = '0'] = process.argv.slice(2)
const server = getTestServer(target)
server.listen(Number(port), '127.0.0.1', () => process.stdout.write(`${target} listens on port ${port}\n`))
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    server.close(() => process.exit(0))
    server.closeIdleConnections()
  })
}
