import { LENGTH, Reader, VARINT } from '../rows/reader.ts'

/** An AppendRowsRequest whose parts still lie in the message. */
export interface AppendRequest {
  /** Empty: that of the requests before. */
  writeStream: string
  offset: number | undefined
  /** The DescriptorProto of the writer; undefined: that of the requests before. */
  descriptor: Buffer | undefined
  /** The body of ProtoRows: `serialized_rows` entries. */
  rows: Buffer
  hasArrow: boolean
  /** Top-level columns whose absence is interpreted in a way of their own: 1 NULL, 2 the default. */
  missing: Map<string, number>
  /** The interpretation for the others; 0: that of the requests before. */
  defaultMissing: number
}

const EMPTY = Buffer.alloc(0)

/** Parses the fields of AppendRowsRequest without touching the rows. Undefined: the bytes are no protobuf. */
export function parseAppendRequest(message: Buffer): AppendRequest | undefined {
  const request: AppendRequest = {
    writeStream: '',
    offset: undefined,
    descriptor: undefined,
    rows: EMPTY,
    hasArrow: false,
    missing: new Map(),
    defaultMissing: 0,
  }
  const ok = eachField(message, (number, reader) => {
    const bytes = () => reader.buffer.subarray(reader.from, reader.to)
    if (number === 1) request.writeStream = bytes().toString()
    else if (number === 2) return takeOffset(request, bytes())
    else if (number === 4) return takeProtoRows(request, bytes())
    else if (number === 5) request.hasArrow = true
    else if (number === 7) return takeMissing(request, bytes())
    else if (number === 8) request.defaultMissing = reader.lo
    return true
  })
  return ok ? request : undefined
}

/** Calls `take` for each field, its value in the reader. False when the bytes are no protobuf or `take` says so. */
function eachField(message: Buffer, take: (number: number, reader: Reader) => boolean): boolean {
  const reader = new Reader()
  reader.buffer = message
  reader.end = message.length
  while (reader.pos < reader.end) {
    if (!reader.varint()) return false
    const tag = reader.lo
    if (!reader.skip(tag & 7)) return false
    if (((tag & 7) === LENGTH || (tag & 7) === VARINT) && !take(tag >>> 3, reader)) return false
  }
  return true
}

/** google.protobuf.Int64Value: an absent value is 0. */
function takeOffset(request: AppendRequest, bytes: Buffer): boolean {
  request.offset = 0
  return eachField(bytes, (number, reader) => {
    if (number === 1) request.offset = reader.signedNumber()
    return true
  })
}

function takeProtoRows(request: AppendRequest, bytes: Buffer): boolean {
  return eachField(bytes, (number, reader) => {
    const value = bytes.subarray(reader.from, reader.to)
    if (number === 2) request.rows = value
    if (number !== 1) return true
    return eachField(value, (inner, descriptor) => {
      if (inner === 1) request.descriptor = value.subarray(descriptor.from, descriptor.to)
      return true
    })
  })
}

function takeMissing(request: AppendRequest, bytes: Buffer): boolean {
  let column = ''
  let interpretation = 0
  const ok = eachField(bytes, (number, reader) => {
    if (number === 1) column = bytes.toString('utf8', reader.from, reader.to).toLowerCase()
    else if (number === 2) interpretation = reader.lo
    return true
  })
  request.missing.set(column, interpretation)
  return ok
}

/** Rows in the body of a ProtoRows, or undefined when it is malformed. */
export function countRows(rows: Buffer): number | undefined {
  const reader = new Reader()
  reader.buffer = rows
  reader.end = rows.length
  let count = 0
  while (reader.pos < reader.end) {
    if (!reader.varint() || reader.lo !== 8 + LENGTH || !reader.bytes()) return undefined
    count++
  }
  return count
}
