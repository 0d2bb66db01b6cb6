export { createLog, type Log } from './log.ts'
export { type Answer, servePages } from './pages.ts'
export { prometheusPage } from './prometheus.ts'
export { userAgent } from './user-agent.ts'
