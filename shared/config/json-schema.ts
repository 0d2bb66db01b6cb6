import * as z from 'zod'
import { fileSchema } from './schema.ts'

/** What is used of a JSON Schema: enough to walk through the form of `millrace.yaml`. */
export interface Form {
  readonly type?: string
  readonly properties?: Readonly<Record<string, Form>>
  readonly additionalProperties?: Form | false
  readonly items?: Form
  readonly anyOf?: readonly Form[]
}

/** The JSON Schema of `millrace.yaml`, for editors. */
export function jsonSchema(): Form {
  return { title: 'millrace.yaml', ...z.toJSONSchema(fileSchema, { io: 'input', unrepresentable: 'any' }) } as Form
}

/** The named keys of an object, or of every object that may stand here. */
export function shapeOf({ properties, anyOf = [] }: Form): Readonly<Record<string, Form>> {
  return properties ?? (Object.assign({}, ...anyOf.map(shapeOf)) as Record<string, Form>)
}
