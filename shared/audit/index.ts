export { type AuditReport, type Fault, runAudit } from './audit.ts'
