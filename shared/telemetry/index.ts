export { createLog, type Log } from './log.ts'
export { PROMETHEUS_TYPE, prometheusText } from './prometheus.ts'
export { userAgent } from './user-agent.ts'
