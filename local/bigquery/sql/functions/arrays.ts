import type { FunctionTable } from './call.ts'

export const ARRAYS: FunctionTable = {}
