import { decompress } from './compression.ts'
import { corrupt } from './errors.ts'
import { free, type SharedMemory } from './memory.ts'
import { type RecordView, View } from './record-view.ts'
import type { Codec, RangeHead } from './types.ts'

/** With what the fetcher alone looks at. */
export type RecordRange = ReturnType<typeof createRange>

/**
 * A range of a partition's offsets: the records of one RecordBatch, or none (`records` 0) where control records, aborted
 * transactions or compaction left only offsets to pass. Ranges of a partition come in order, without overlap.
 */
export type FetchedBatch = Readonly<
  Omit<RecordRange, 'baseOffset' | 'compression' | 'baseTimestampMs' | 'appendTimestampMs'>
>

/** Returning false stops the walk before this record: it counts as not taken. */
type RecordVisitor = (record: RecordView) => boolean | void

/** Before the first visit. */
const NOWHERE = { offset: -1, index: 0, at: 0 }

/** A range of offsets with the records of one RecordBatch; without any, `packed` is empty. `memory`: what `packed` is a part of. */
export function createRange(head: RangeHead, packed: Buffer, memory?: SharedMemory) {
  let body = packed
  let codec: Codec = head.compression
  let unpacking: Promise<void> | undefined
  let released = false
  let drop = () => memory?.release()
  const unpacked = (bytes: Buffer) => {
    drop()
    body = bytes
    codec = 'none'
    drop = () => free(bytes)
    if (released) drop()
  }
  /** Where a visit that begins at this offset goes on: record number and place in the body. */
  let stop = NOWHERE
  return {
    ...head,
    /** Memory that the batch holds now: compressed, and decompressed once `ready()` has resolved. */
    get bytes(): number {
      return body.length
    },
    /** Decompresses in the thread pool, before any visit; at once when there is nothing to do. Rejects with a KafkaError `corrupt`. */
    async ready(): Promise<void> {
      if (codec === 'none') return
      unpacking ??= decompress(codec, body).then(unpacked)
      await unpacking
    },
    /**
     * Calls the visitor for each record from `fromOffset` (or `firstOffset`, if that is later) on. Returns where the next visit must go
     * on: `lastOffset + 1` when all were taken. Going on at the offset that the last visit returned costs nothing. Throws a KafkaError `corrupt`.
     */
    visit(fromOffset: number, visitor: RecordVisitor): number {
      if (released || codec !== 'none') throw new RangeError('the batch was released, or is not ready')
      const from = Math.max(fromOffset, this.firstOffset)
      stop = walk(head, body, from, stop.offset === from ? stop : { offset: from, index: 0, at: 0 }, visitor)
      return stop.index === head.records ? this.lastOffset + 1 : stop.offset
    },
    /**
     * Gives its memory back: what a visitor was shown has length 0 from then on, and there are no visits any more. A batch that
     * is dropped without it costs no more than the collector's time.
     */
    release(): void {
      if (released) return
      released = true
      // The thread pool reads the packed bytes, and its answer is dropped as soon as it comes.
      if (codec === 'none' || !unpacking) drop()
    },
  }
}

/** Visits the records from a place on; gives back the one that was not taken, or the end. */
function walk(
  head: RangeHead,
  body: Buffer,
  from: number,
  { index: first, at: start }: typeof NOWHERE,
  visitor: RecordVisitor,
) {
  const { records } = head
  const view = new View(body, head)
  let at = start
  for (let index = first; index < records; index++) {
    const end = view.read(at)
    if (view.offset >= from && visitor(view) === false) return { offset: view.offset, index, at }
    at = end
  }
  if (records > 0 && at !== body.length) throw corrupt(`${body.length - at} bytes behind the last record`)
  return { offset: -1, index: records, at }
}
