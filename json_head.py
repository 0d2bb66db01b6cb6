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
  /** The slot of the member that `member` read; undefined: it has no column, or the object ended. */
  private slot: Slot | undefined

  constructor(plan: Plan, unknown: UnknownFields, out: RowBuffer) {
    super(out)
    this.plan = plan
    this.unknown = unknown
    compileFor(plan)
  }

  walk(input: Buffer, start: number, end: number, out: RowBuffer): number {
    const bom = end - start >= 3 && input[start] === 0xef && input[start + 1] === 0xbb && input[start + 2] === 0xbf
    const first = this.look(input, start, end)
    this.end = first + end - start
    this.out = out
    this.path = ''
    this.prefix = ''
    let p = this.blank(bom ? first + 3 : first)
    if (p >= this.end) return TRUNCATED
    if (this.bytes[p] !== OPEN) return this.valueEnd(p, 0) < 0 ? JSON_SYNTAX : WRONG_TYPE
    p = this.object(this.plan, p + 1, 1)
    if (p < 0) return p
    if (p < this.end) p = this.blank(p)
    return p === this.end ? p : TRAILING
  }

  /** The members of an object whose brace is before `start`. Answers the position behind its end, or a reason. */
  private object(plan: Plan, start: number, depth: number): number {
    if (depth > NESTING_MAX) return TOO_DEEP
    const { state } = plan
    plan.open()
    state.at = FIRST
    let p = start
    do {
      p = plan.plainMembers(this, this.bytes, this.view, p, this.end, this.out)
      if (state.at >= 0)
      
    } while (...)
  }
'''
