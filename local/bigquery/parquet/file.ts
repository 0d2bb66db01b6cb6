import type { Column, Physical } from './column.ts'
import { encodeThrift, i32, i64, list, struct, type Thrift, text } from './thrift.ts'

/** Meaning of a leaf beyond its bytes, as far as BigQuery's types need it. */
export type Logical = 'utf8' | 'decimal' | 'date' | 'time' | 'timestamp'

/** A node of a Parquet schema. A leaf has a column, a group has children. */
export interface SchemaNode {
  name: string
  repetition: 'required' | 'optional' | 'repeated'
  column?: Column
  logical?: Logical
  /** A group that is the outside of a list. */
  list?: boolean
  children?: SchemaNode[]
}

const MAGIC = Buffer.from('PAR1')
/** Numbers of https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift */
const TYPE: Readonly<Record<Physical, number>> = { bool: 0, int32: 1, int64: 2, double: 5, bytes: 6, fixed16: 7 }
const REPETITION = { required: 0, optional: 1, repeated: 2 } as const
const CONVERTED: Readonly<Record<Logical | 'list', number>> = {
  utf8: 0,
  list: 3,
  decimal: 5,
  date: 6,
  time: 8,
  timestamp: 10,
}
const PLAIN = 0
const RLE = 3

/**
 * A Parquet file of one row group, as pieces to be written one after the other; they stay valid until the columns are
 * cleared. Uncompressed, one page a column: the file lives for the moment in which DuckDB takes it up.
 */
export function parquetFile(roots: readonly SchemaNode[], rows: number): Buffer[] {
  const parts: Buffer[] = [MAGIC]
  let offset = MAGIC.length
  const chunks: Thrift[] = []
  for (const { column, path } of leaves(roots, [])) {
    const page = pageParts(column)
    const size = page.reduce((sum, part) => sum + part.length, 0)
    chunks.push(columnChunk(column, path, offset, size))
    parts.push(...page)
    offset += size
  }
  const footer = encodeThrift(fileMetadata(roots, rows, chunks, offset - MAGIC.length))
  const length = Buffer.alloc(4)
  length.writeUInt32LE(footer.length)
  return [...parts, footer, length, MAGIC]
}

function* leaves(
  nodes: readonly SchemaNode[],
  above: readonly string[],
): Generator<{ column: Column; path: string[] }> {
  for (const { name, column, children } of nodes) {
    const path = [...above, name]
    if (column) yield { column, path }
    else yield* leaves(children ?? [], path)
  }
}

function pageParts(column: Column): Buffer[] {
  const body = column.page()
  const size = body.reduce((sum, part) => sum + part.length, 0)
  const data = struct([1, i32(column.count)], [2, i32(PLAIN)], [3, i32(RLE)], [4, i32(RLE)])
  return [encodeThrift(struct([1, i32(0)], [2, i32(size)], [3, i32(size)], [5, data])), ...body]
}

function columnChunk(column: Column, path: readonly string[], offset: number, size: number): Thrift {
  const metadata = struct(
    [1, i32(TYPE[column.physical])],
    [2, list('i32', [i32(PLAIN), i32(RLE)])],
    [3, list('string', path.map(text))],
    [4, i32(0)],
    [5, i64(column.count)],
    [6, i64(size)],
    [7, i64(size)],
    [9, i64(offset)],
  )
  return struct([2, i64(offset)], [3, metadata])
}

function fileMetadata(roots: readonly SchemaNode[], rows: number, chunks: readonly Thrift[], size: number): Thrift {
  const root = struct([4, text('schema')], [5, i32(roots.length)])
  const group = struct([1, list('struct', chunks)], [2, i64(size)], [3, i64(rows)])
  return struct(
    [1, i32(1)],
    [2, list('struct', [root, ...roots.flatMap(schemaElements)])],
    [3, i64(rows)],
    [4, list('struct', [group])],
  )
}

function schemaElements(node: SchemaNode): Thrift[] {
  const { column, logical, children } = node
  const converted = logical ?? (node.list ? 'list' : undefined)
  const decimal = logical === 'decimal'
  const element = struct(
    [1, column && i32(TYPE[column.physical])],
    [2, column?.physical === 'fixed16' ? i32(16) : undefined],
    [3, i32(REPETITION[node.repetition])],
    [4, text(node.name)],
    [5, children && i32(children.length)],
    [6, converted && i32(CONVERTED[converted])],
    [7, decimal ? i32(9) : undefined],
    [8, decimal ? i32(38) : undefined],
  )
  return [element, ...(children ?? []).flatMap(schemaElements)]
}
