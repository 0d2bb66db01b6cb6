import type { FunctionTable } from './call.ts'

export const MATH: FunctionTable = {}
