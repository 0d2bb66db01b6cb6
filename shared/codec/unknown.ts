import { EXTRA, type RecordType } from '../schema/index.ts'
import type { CodecRoute } from './route.ts'
import { RowBuffer } from './row-buffer.ts'

/** Collects the unknown fields of one event as the members of one JSON object, and writes the column `extra`. */
export class UnknownFields {
  readonly policy: CodecRoute['unknown']
  private readonly tag: number
  private readonly json = new RowBuffer(1024)

  /** @param record with the column `extra` when the policy is `keep` */
  constructor(record: RecordType, policy: CodecRoute['unknown']) {
    this.policy = policy
    this.tag = (record.fields.find((field) => field.name === EXTRA)?.number ?? 0) * 8 + 2
  }

  clear(): void {
    this.json.clear()
  }

  /** Adds a member: key[start, end) as it stands in JSON, behind a prefix; value[from, to) is JSON, too. */
  add(prefix: string, key: Buffer, start: number, end: number, value: Buffer, from: number, to: number): void {
    const { json } = this
    json.text(`${json.length === 0 ? '{' : ','}"${prefix}`)
    json.reserve(end - start + to - from + 3)
    json.copy(key, start, end)
    json.text('":')
    json.copy(value, from, to)
  }

  /** Writes the column, if there is anything in it. */
  write(out: RowBuffer): void {
    const { json } = this
    if (json.length === 0) return
    json.text('}')
    out.tag(this.tag)
    out.lengthAndCopy(json.bytes, 0, json.length)
    json.clear()
  }
}
