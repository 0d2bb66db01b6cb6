f='/work/main/shared/codec/json.ts'
s=open(f).read()
a=s.index("/** JSON straight to row bytes"); b=s.index("  private unknownMember(")
new='''/** JSON straight to row bytes: no objects, no strings, one pass. */
export class JsonWalker extends JsonValues implements Walker {
  path = ''
  private readonly plan: Plan
  private readonly unknown: UnknownFields
  /** Path of the record that is being read, for unknown fields; kept only while there may be some. */
  private prefix = ''

  constructor(plan: Plan, unknown: UnknownFields, out: RowBuffer) {
    super(out)
    this.plan = plan
    this.unknown = unknown
    compilePlainMembers(plan)
  }

  walk(input: Buffer, start: number, end: number, out: RowBuffer): number {
    const first = this.look(input, start, end)
    this.end = first + end - start
    this.out = out
    this.path = ''
    this.prefix = ''
    const { bytes } = this
    const bom = end - start >= 3 && bytes[first] === 0xef && bytes[first + 1] === 0xbb && bytes[first + 2] === 0xbf
    let p = this.blank(bom ? first + 3 : first)
    if (p >= this.end) return TRUNCATED
    if (bytes[p] !== OPEN) return this.valueEnd(p, 0) < 0 ? JSON_SYNTAX : WRONG_TYPE
    p = this.object(this.plan, p + 1, 1)
    if (p < 0) return p
    p = this.blank(p)
    return p === this.end ? p : TRAILING
  }

  /** The members of an object whose brace is before `start`. Answers the position behind its end, or a reason. */
  private object(plan: Plan, start: number, depth: number): number {
    if (depth > NESTING_MAX) return TOO_DEEP
    const { progress, slots } = plan
    plan.open()
    let p = start
    for (;;) {
      p = plan.plainMembers(this.bytes, this.view, p, this.end, this.out)
      if (progress[AT] === SEPARATOR) p = this.separator(plan, p, depth)
      if (p < 0) return p
      if (progress[AT] === CLOSED) break
      const slot = slots[progress[AT] as number] as Slot
      p = this.member(plan, slot, p, depth)
      if (p < 0) return this.fail(p, slot.name)
      progress[AFTER] = slot.index + 1
      progress[AT] = SEPARATOR
    }
    const missing = plan.close(this.out)
    return missing ? this.fail(MISSING, missing.name) : p
  }

  /**
   * What stands before a member: comma, name and colon with their white space, and members without a column; or the end
   * of the object. Answers the position of the value, noted in progress[AT].
   */
  private separator(plan: Plan, start: number, depth: number): number {
    const { progress, next } = plan
    const after = progress[AFTER] as number
    let p = after === 0 ? this.opening(start, CLOSE) : this.following(start, CLOSE)
    while (p >= 0 && !this.closed) {
      const name = p + 1
      const behind = this.isQuote(p) < 0 ? this.isQuote(p) : this.text(name)
      if (behind < 0) return behind
      const slot = plan.find(this.source, this.from, this.to)
      p = this.colon(behind)
      if (p < 0) return p
      if (slot) {
        next[after] = progress[AT] = slot.index
        return p
      }
      p = slot === null ? this.valueEnd(p, depth) : this.unknownMember(name, behind - 1, p, depth)
      if (p >= 0) p = this.following(p, CLOSE)
    }
    progress[AT] = CLOSED
    return p
  }

  private member(plan: Plan, slot: Slot, p: number, depth: number): number {
    if (plan.isNamed(slot)) return DUPLICATE
    if (this.bytes[p] === LETTER_N && !slot.takesNull) {
      plan.takeNull(slot)
      return this.literal(p)
    }
    if (!plan.take(slot)) return ONEOF
    if (slot.repeated) return slot.map ? this.map(slot, p, depth) : this.array(slot, p, depth)
    this.out.tag(slot.tag)
    return this.value(slot, p, depth)
  }

'''
s=s[:a]+new+s[b:]
a=s.index("/** Position of the value of the key that followed")
s=s[:a].rstrip()+"\n"
s=s.replace('''    let p = this.blank(start + 1)
    if (p < this.end && this.bytes[p] === CLOSE_ARRAY) return p + 1
''','''    let p = this.opening(start + 1, CLOSE_ARRAY)
    if (this.closed) return p
''').replace('''    slot.mapKeys.clear()
    let p = this.blank(start + 1)
    if (p < this.end && this.bytes[p] === CLOSE) return p + 1
''','''    let p = this.opening(start + 1, CLOSE)
    if (this.closed) return p
''')
s=s.replace('''import type { Key } from './keys.ts'
import { Op, type Plan, type Slot } from './plan.ts'
''','''import { compilePlainMembers } from './json-code.ts'
import { AFTER, AT, CLOSED, Op, type Plan, SEPARATOR, type Slot } from './plan.ts'
''').replace("import { plainTextEnd } from './strings.ts'\n","").replace("const QUOTE = 0x22\n","").replace("/** Room for the tag, the length and the longest number of a value. */\nconst VALUE_ROOM = 32\n","")
open(f,'w').write(s)

f='/work/main/shared/codec/json-values.ts'
s=open(f).read()
a=s.index("  /**\n   * A tag and a whole number"); b=s.index("  protected value(slot: Slot")
s=s[:a]+s[b:]
s=s.replace('''  /** Set by scalar: the position behind what it wrote. */
  protected after = 0
''','').replace('/** "true" and "fals" in one number each. */\nconst WORD_TRUE = 0x65757274\nconst WORD_FALS = 0x736c6166\n','')
open(f,'w').write(s)

f='/work/main/shared/codec/json-scanner.ts'
s=open(f).read()
s=s.replace('''export class JsonScanner {
  protected bytes: Buffer = Buffer.alloc(0)
  protected view = new DataView(this.bytes.buffer)
  protected end = 0''','''export class JsonScanner extends ByteReader {
  protected end = 0''')
a=s.index("  /** Turns to another buffer: once"); b=s.index("  /** Skips white space. */")
s=s[:a]+s[b:]
s=s.replace('''    let p = this.blank(start)
    if (p < this.end && this.bytes[p] === close) return p + 1
    for (;;) {''','''    let p = this.opening(start, close)
    if (this.closed) return p
    for (;;) {''')
s=s.replace('''  /** Set by following. */
  protected closed = false
''','''  /** Set by opening and following: the bracket is closed. */
  protected closed = false

  /** What is behind an opening bracket: the position of the first value, or that behind the closing bracket. */
  protected opening(start: number, close: number): number {
    const p = this.blank(start)
    this.closed = p < this.end && this.bytes[p] === close
    return this.closed ? p + 1 : p
  }
''')
s=s.replace("import { NESTING_MAX } from './walker.ts'","import { ByteReader, NESTING_MAX } from './walker.ts'")
open(f,'w').write(s)

f='/work/main/shared/codec/plan.ts'
s=open(f).read()
s=s.replace('''/** A record, compiled, and what''','''/**
 * The same of JSON: reads members from behind a value (or the brace) on, and writes them. What it comes to is in
 * plan.progress[AT]: the index of a slot whose value is where it stopped; or SEPARATOR: it stopped behind a value; or
 * CLOSED: it stopped behind the closing brace.
 */
export type PlainMembers = (bytes: Buffer, view: DataView, start: number, end: number, out: RowBuffer) => number

/** Places in plan.progress: 1 + slot of the member before (0: none), and where the reading stopped. */
export const AFTER = 0
export const AT = 1
export const SEPARATOR = -1
export const CLOSED = -2

/** A record, compiled, and what''')
s=s.replace('''  readonly keys: Keys
''','''  readonly progress = Int32Array.of(0, SEPARATOR)
  /** By 1 + slot of a member (0: none): the slot that followed last time. */
  readonly next: Int32Array
  /** Letters of names count in either case. */
  readonly foldsCase: boolean
''')
s=s.replace('''  plainFields: PlainFields = (_bytes, _view, start) => start
''','''  plainFields: PlainFields = (_bytes, _view, start) => start
  plainMembers: PlainMembers = (_bytes, _view, start) => start
''')
s=s.replace('''  private readonly slotsByNumber: ReadonlyMap<number, Slot>
''','''  private readonly slotsByNumber: ReadonlyMap<number, Slot>
  private readonly names: ByteKeys
  /** By the number of a name; null: of a field without a column. */
  private readonly slotsByName: (Slot | null)[] = []
''')
s=s.replace('''    this.keys = new Keys(record, this.slots)
''','''    this.next = Int32Array.from({ length: this.slots.length + 1 }, (_, index) => index)
    this.foldsCase = record.origin === 'bigquery'
    this.names = new ByteKeys(this.foldsCase)
    for (const slot of this.slots) for (const name of slot.proto?.jsonNames ?? [slot.name]) this.name(name, slot)
    for (const field of record.ignored) for (const name of field.jsonNames) this.name(name, null)
''')
s=s.replace('''  /** The slot of a field number''','''  /** Of the field that a name in JSON means: its slot; null: it has no column; undefined: there is none. */
  find(bytes: Uint8Array, start: number, end: number): Slot | null | undefined {
    return this.slotsByName[this.names.find(bytes, start, end)]
  }

  private name(name: string, slot: Slot | null): void {
    const bytes = Buffer.from(name)
    if (this.names.add(bytes, 0, bytes.length)) this.slotsByName.push(slot)
  }

  /** The slot of a field number''')
s=s.replace('''    for (let i = 0; i < oneofs.length; i++) oneofs[i] = 0
''','''    this.progress[AFTER] = 0
    this.progress[AT] = SEPARATOR
    for (let i = 0; i < oneofs.length; i++) oneofs[i] = 0
''')
s=s.replace('''  /** Takes a slot; false''','''  /** It came already, as a value or as null. */
  isNamed(slot: Slot): boolean {
    return this.has(slot) || hasBit(this.nulls, slot.index)
  }

  takeNull(slot: Slot): void {
    setBit(this.nulls, slot.index)
  }

  /** Takes a slot; false''')
s=s.replace("import { Keys } from './keys.ts'\n","")
s=s.replace('''  /** The op of a field that is singular, in no oneof, its tag a single byte: for the walkers' main loops; else SLOW. */
  readonly fast: number
''','').replace('''    this.fast = !this.repeated && this.oneof < 0 && this.tag < 128 ? this.op : SLOW
''','').replace("const SLOW = 99\n\n","").replace("/** What a slot's value is, for the switches of the walkers; the JSON walker's main loop writes those up to UINT32. */","/** What a slot's value is, for the switches of the walkers. */")
open(f,'w').write(s)

f='/work/main/shared/codec/protobuf-code.ts'
s=open(f).read()
a=s.index("/** A plan's PlainFields;"); b=s.index("function isPlain")
s=s[:a]+'''/** Makes the PlainFields of a plan and those within it, where code can be made. */
export function compilePlainFields(plan: Plan): void {
  const slots = plan.slots.filter((slot) => isPlain(slot)).slice(0, FIELDS_MAX)
  slots.sort((a, b) => a.tag - b.tag)
  // By tag: 1 + place in `slots`.
  const places = new Int16Array(slots.reduce((size, slot) => Math.max(size, slot.tag + 1), 256))
  slots.forEach((slot, index) => (places[slot.tag] = index + 1))
  const given = { isText, places, present: plan.present }
  plan.plainFields = compile<PlainFields>(source(slots, plan.present.length), given) ?? plan.plainFields
  for (const slot of plan.slots) if (slot.op === Op.MESSAGE) compilePlainFields(slot.plan)
}

'''+s[b:]
open(f,'w').write(s)
f='/work/main/shared/codec/protobuf.ts'
s=open(f).read()
a=s.index("function compileFor")
s=s[:a].rstrip()+"\n"
s=s.replace("    compileFor(plan)","    compilePlainFields(plan)")
open(f,'w').write(s)
for f,o,n in [('logfmt.ts','this.plan.keys.find(input, key, keyEnd)?.slot\n    if (slot === undefined)','this.plan.find(input, key, keyEnd)\n    if (!slot)'),('pattern.ts','plan.keys.find(Buffer.from(group), 0, group.length)?.slot','plan.find(Buffer.from(group), 0, group.length)'),('numbers.ts','const POWERS = Float64Array','export const POWERS = Float64Array')]:
    f='/work/main/shared/codec/'+f
    s=open(f).read(); assert o in s, f
    open(f,'w').write(s.replace(o,n))
