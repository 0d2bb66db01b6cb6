import type { FunctionTable } from './call.ts'

export const DATES: FunctionTable = {}
