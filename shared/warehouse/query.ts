import type { TableField } from '../schema/index.ts'
import { timestampOf } from '../timestamp.ts'
import type { Rest } from './rest.ts'

/** INT64 and NUMERIC as strings, TIMESTAMP as RFC 3339 UTC with micros, BYTES as base64; NULL and empty arrays left out. */
export type Row = Readonly<Record<string, unknown>>
/** A whole number becomes INT64, a Date TIMESTAMP. */
type Parameter = string | number | Date
/** By the name that stands behind an @ in the statement. */
export type Parameters = Readonly<Record<string, Parameter>>

const PAGE_ROWS = 10_000
/** How long one request waits for the query to end. */
const WAIT_MS = 20_000

interface Page {
  readonly jobComplete?: boolean
  readonly jobReference?: { readonly jobId?: string; readonly location?: string }
  readonly schema?: { readonly fields?: readonly TableField[] }
  readonly rows?: readonly Cells[]
  readonly pageToken?: string
}
interface Cells {
  readonly f: readonly { readonly v: unknown }[]
}

/** Runs one GoogleSQL statement. @throws ApiError */
export async function* query(rest: Rest, sql: string, parameters: Parameters = {}): AsyncGenerator<Row> {
  const { project: projectId, region: location } = rest
  const asked = { timeoutMs: WAIT_MS, maxResults: PAGE_ROWS }
  const json = {
    ...asked,
    query: sql,
    location,
    useLegacySql: false,
    formatOptions: { useInt64Timestamp: true },
    parameterMode: 'NAMED',
    queryParameters: Object.entries(parameters).map(parameter),
  }
  let page = (await rest.call({ method: 'POST', projectId, uri: 'queries', json })) as Page
  for (;;) {
    for (const { f: cells } of page.rows ?? []) yield recordOf(page.schema?.fields ?? [], cells)
    if (page.jobComplete !== false && !page.pageToken) return
    const qs = {
      ...asked,
      location: page.jobReference?.location ?? location,
      'formatOptions.useInt64Timestamp': 'true',
      ...(page.pageToken ? { pageToken: page.pageToken } : {}),
    }
    const uri = `queries/${page.jobReference?.jobId}`
    page = (await rest.call({ method: 'GET', projectId, uri, qs })) as Page
  }
}

function parameter([name, value]: [string, Parameter]): object {
  const type = value instanceof Date ? 'TIMESTAMP' : typeof value === 'number' ? 'INT64' : 'STRING'
  const text = value instanceof Date ? value.toISOString() : String(value)
  return { name, parameterType: { type }, parameterValue: { value: text } }
}

function recordOf(fields: readonly TableField[], cells: readonly { readonly v: unknown }[]): Row {
  const record: Record<string, unknown> = {}
  fields.forEach((field, column) => {
    const value = valueOf(field, cells[column]?.v)
    if (value !== undefined) record[field.name] = value
  })
  return record
}

function valueOf(field: TableField, cell: unknown): unknown {
  if (cell === null || cell === undefined) return undefined
  if (field.mode !== 'REPEATED') return scalarOf(field, cell)
  const items = (cell as { v: unknown }[]).map(({ v }) => scalarOf(field, v))
  return items.length > 0 ? items : undefined
}

function scalarOf(field: TableField, cell: unknown): unknown {
  const text = String(cell)
  switch (field.type) {
    case 'RECORD':
    case 'STRUCT':
      return recordOf(field.fields ?? [], (cell as Cells).f)
    case 'BOOLEAN':
    case 'BOOL':
      return text === 'true'
    case 'FLOAT':
    case 'FLOAT64':
      return Number.isFinite(Number(text)) ? Number(text) : text
    case 'TIMESTAMP':
      return timestampOf(text)
    default:
      return text
  }
}
