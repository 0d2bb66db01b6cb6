export { createLog, type Log } from './log.ts'
export { userAgent } from './user-agent.ts'
