import type { FunctionTable } from './call.ts'

export const TIMESTAMPS: FunctionTable = {}
