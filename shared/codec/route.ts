import { dirname } from 'node:path'
import type { Route } from '../config/index.ts'
import {
  type DescriptorProto,
  descriptorOf,
  loadSchema,
  type RecordType,
  type TableField,
  tableFields,
  withMetadata,
} from '../schema/index.ts'
import { ACCESS_RECORDS, AccessLogWalker } from './access-log.ts'
import { envelopeOf } from './envelope.ts'
import { JsonWalker } from './json.ts'
import { LogfmtWalker } from './logfmt.ts'
import { MetadataWriter, type Origin } from './metadata.ts'
import { PatternWalker } from './pattern.ts'
import { Plan } from './plan.ts'
import { ProtobufWalker } from './protobuf.ts'
import { RAW_RECORD, rawWalker } from './raw.ts'
import { type Rejection, rejectionOf, TOO_LARGE } from './reasons.ts'
import type { RowBuffer } from './row-buffer.ts'
import { textRecord } from './text-columns.ts'
import { UnknownFields } from './unknown.ts'
import type { Walker } from './walker.ts'
import { UserError } from '../errors.ts'

/** What of a route the codec looks at. */
export type CodecRoute = Pick<Route, 'name' | 'format' | 'unknown' | 'metadata' | 'preset' | 'pattern' | 'convert'> &
  Partial<Pick<Route, 'envelope'>>

/** Makes rows of a route's events, and knows their table's columns. */
export interface RowCodec {
  /** The table's columns in their REST form, those that Millrace adds included. */
  readonly fields: readonly TableField[]
  /** Self-contained proto2, for AppendRows' writer_schema. */
  readonly descriptor: DescriptorProto
  /** Appends the row of input[start, end) to `out`, or leaves `out` as it was and says why. */
  encode(input: Buffer, start: number, end: number, origin: Origin, out: RowBuffer): Rejection | undefined
}

/**
 * Compiles a route.
 * @param schema the route's; a preset and `raw` bring their own
 * @throws UserError when schema, format and pattern do not fit each other
 */
export function compileRoute(route: CodecRoute, schema?: RecordType): RowCodec {
  const record = recordOf(route, schema)
  const row = withMetadata(record, route.metadata, route.unknown === 'keep' && hasUnknown(route))
  const unknown = new UnknownFields(row, route.unknown)
  const metadata = new MetadataWriter(row.fields[record.fields.length]?.number ?? 0)
  const openEnvelope = envelopeOf(route, record)
  const walker = walkerOf(route, new Plan(record), unknown)
  const encode: RowCodec['encode'] = (input, start, end, origin, out) => {
    if (walker.row?.(input, start, end, out, origin, metadata)) return undefined
    const mark = out.beginRow()
    const from = start < end && input[start] === 0 ? (openEnvelope?.(input, start, end) ?? start) : start
    let result = from < 0 ? from : walker.walk(input, from, end, out)
    if (result >= 0) {
      unknown.write(out)
      if (metadata.finishRow(origin, out, mark)) return undefined
      result = TOO_LARGE
    }
    out.length = mark
    unknown.clear()
    return rejectionOf(result, from < 0 || result === TOO_LARGE ? '' : walker.path)
  }
  return { fields: tableFields(row), descriptor: descriptorOf(row), encode }
}

/** Reads a route's schema and compiles its codec. @throws UserError when either is broken */
export function openCodec(route: Route): RowCodec {
  return compileRoute(route, route.schema === undefined ? undefined : loadSchema(route.schema, dirname(route.schema)))
}

function recordOf(route: CodecRoute, record: RecordType | undefined): RecordType {
  if (route.format === 'raw') return RAW_RECORD
  if (route.preset === 'combined' || route.preset === 'common') return ACCESS_RECORDS[route.preset]
  const where = `route ${route.name}`
  const fix = 'add schema: FILE.proto#package.Message or FILE.json'
  if (!record) throw new UserError(`${where}: format ${route.format} needs a schema`, fix)
  return route.format === 'text' ? textRecord(record, where) : record
}

/** Whether events of the route can have fields that the schema does not have. */
function hasUnknown(route: CodecRoute): boolean {
  return route.format === 'json' || route.format === 'protobuf' || route.preset === 'logfmt'
}

function walkerOf(route: CodecRoute, plan: Plan, unknown: UnknownFields): Walker {
  if (route.format === 'raw') return rawWalker
  if (route.format === 'json') return new JsonWalker(plan, unknown)
  if (route.format === 'protobuf') return new ProtobufWalker(plan, unknown)
  if (route.preset === 'logfmt') return new LogfmtWalker(plan, unknown)
  if (route.preset) return new AccessLogWalker(plan, unknown)
  return new PatternWalker(plan, unknown, route)
}
