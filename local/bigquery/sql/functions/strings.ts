import type { FunctionTable } from './call.ts'

export const STRINGS: FunctionTable = {}
