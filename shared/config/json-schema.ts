import * as z from 'zod'
import { fileSchema } from './schema.ts'

/** The JSON Schema of `millrace.yaml`, for editors. */
export function jsonSchema(): unknown {
  return { title: 'millrace.yaml', ...z.toJSONSchema(fileSchema, { io: 'input', unrepresentable: 'any' }) }
}
