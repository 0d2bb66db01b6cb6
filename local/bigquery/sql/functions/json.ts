import type { FunctionTable } from './call.ts'

export const JSON_FUNCTIONS: FunctionTable = {}
