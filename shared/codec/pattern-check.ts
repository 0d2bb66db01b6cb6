/**
 * Finds regular expressions that could take for ever on a hostile line. JavaScript's engine backtracks: two repetitions
 * that can share a stretch of text try every way of dividing it. The check is stricter than it must be, and says what
 * it does not like; it allows what log formats need: repetitions that end at something they cannot match. Repetitions
 * of a few are counted: in how many ways at most a line could be matched.
 */
export function checkPattern(source: string): string | undefined {
  const parser = new Parser(source)
  try {
    const node = parser.alternatives()
    if (!parser.done()) return `unexpected ${source.slice(parser.at)}`
    const { ways } = visit(node, [], 0n, true)
    return ways > WAYS_MAX
      ? `a line could be matched in more than ${WAYS_MAX} ways, which takes too long to try`
      : undefined
  } catch (error) {
    if (error instanceof Unsafe) return error.message
    throw error
  }
}

class Unsafe extends Error {}

/** A set of bytes, one bit each. */
type Bytes = bigint

type Node =
  | { readonly kind: 'bytes'; readonly set: Bytes }
  | { readonly kind: 'sequence'; readonly nodes: readonly Node[] }
  | { readonly kind: 'choice'; readonly nodes: readonly Node[] }
  | { readonly kind: 'repeat'; readonly node: Node; readonly min: number; readonly max: number; readonly text: string }

/** A repetition of fewer than this many is no loop: in how many ways it can be divided is counted. */
const LOOP_MIN = 33
/** Each of them may cost a walk over the line. */
const WAYS_MAX = 64

const ALL: Bytes = (1n << 256n) - 1n
const bit = (c: number): Bytes => 1n << BigInt(c & 255)
const range = (from: number, to: number): Bytes =>
  from > to ? 0n : ((1n << BigInt(to - from + 1)) - 1n) << BigInt(from)
const DIGITS = range(48, 57)
const WORD = DIGITS | range(65, 90) | range(97, 122) | bit(95)
const SPACE = range(9, 13) | bit(32) | bit(160)
const CLASSES: Readonly<Record<string, Bytes>> = {
  d: DIGITS,
  D: ALL & ~DIGITS,
  w: WORD,
  W: ALL & ~WORD,
  s: SPACE,
  S: ALL & ~SPACE,
}
const CONTROLS: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, 0: 0 }

class Parser {
  at = 0
  private readonly source: string

  constructor(source: string) {
    this.source = source
  }

  done(): boolean {
    return this.at >= this.source.length
  }

  alternatives(): Node {
    const nodes = [this.sequence()]
    while (this.take('|')) nodes.push(this.sequence())
    return nodes.length === 1 ? (nodes[0] as Node) : { kind: 'choice', nodes }
  }

  private sequence(): Node {
    const nodes: Node[] = []
    while (!this.done() && this.source[this.at] !== '|' && this.source[this.at] !== ')') {
      const begin = this.at
      const node = this.atom()
      if (node) nodes.push(this.repeated(node, begin))
    }
    return { kind: 'sequence', nodes }
  }

  private repeated(node: Node, begin: number): Node {
    const match = /^(?:[*+?]|\{(\d+)(,?)(\d*)\})\??/.exec(this.source.slice(this.at))
    if (!match) return node
    this.at += match[0].length
    const text = this.source.slice(begin, this.at)
    const sign = match[0][0]
    if (sign !== '{') return { kind: 'repeat', node, min: sign === '+' ? 1 : 0, max: sign === '?' ? 1 : Infinity, text }
    const min = Number(match[1])
    const max = match[2] === '' ? min : match[3] === '' ? Infinity : Number(match[3])
    return { kind: 'repeat', node, min, max, text }
  }

  private atom(): Node | undefined {
    const c = this.source[this.at++] ?? ''
    if (c === '^' || c === '$') return undefined
    if (c === '.') return { kind: 'bytes', set: ALL }
    if (c === '[') return { kind: 'bytes', set: this.set() }
    if (c === '(') return this.group()
    if (c === '\\') return this.escape()
    return { kind: 'bytes', set: bit(c.charCodeAt(0)) }
  }

  private group(): Node {
    if (this.take('?') && !this.take(':')) {
      const name = /^<([A-Za-z_][A-Za-z0-9_]*)>/.exec(this.source.slice(this.at))
      if (!name) throw new Unsafe('looking ahead or behind is not possible here')
      this.at += name[0].length
    }
    const node = this.alternatives()
    this.take(')')
    return node
  }

  private escape(): Node | undefined {
    const c = this.source[this.at++] ?? ''
    if (c === 'b' || c === 'B') return undefined
    if (c === 'k' || /[1-9]/.test(c)) throw new Unsafe('back references are not possible here')
    return { kind: 'bytes', set: CLASSES[c] ?? bit(this.code(c)) }
  }

  private code(c: string): number {
    const digits = c === 'x' ? /^[0-9a-fA-F]{2}/.exec(this.source.slice(this.at)) : null
    const control = Object.hasOwn(CONTROLS, c) ? CONTROLS[c] : undefined
    if (!digits && control === undefined && /[A-Za-z0-9]/.test(c))
      throw new Unsafe(`\\${c} means nothing here: write the character itself, or a byte as \\xhh`)
    if (!digits) return control ?? c.charCodeAt(0)
    this.at += 2
    return Number.parseInt(digits[0], 16)
  }

  private set(): Bytes {
    const negated = this.take('^')
    let set: Bytes = 0n
    while (!this.done() && !this.take(']')) {
      const from = this.member()
      if (typeof from === 'bigint') set |= from
      else if (this.source[this.at] === '-' && this.source[this.at + 1] !== ']') {
        this.at++
        const to = this.member()
        set |= typeof to === 'bigint' ? bit(from) | to : range(from, to)
      } else set |= bit(from)
    }
    return negated ? ALL & ~set : set
  }

  private member(): number | Bytes {
    const c = this.source[this.at++] ?? ''
    if (c !== '\\') return c.charCodeAt(0)
    const letter = this.source[this.at++] ?? ''
    return CLASSES[letter] ?? (letter === 'b' ? 8 : this.code(letter))
  }

  private take(c: string): boolean {
    if (this.source[this.at] !== c) return false
    this.at++
    return true
  }
}

interface Loop {
  readonly set: Bytes
  readonly text: string
}

interface Visited {
  /** Loops that could still give bytes back to what follows. */
  readonly open: readonly Loop[]
  /** In how many ways at most a text can be matched, beside what the loops divide among themselves. */
  readonly ways: number
}

/**
 * Walks a pattern from left to right.
 * @param follow the bytes that what follows can begin with
 * @param last nothing follows
 * @throws Unsafe
 */
function visit(node: Node, open: readonly Loop[], follow: Bytes, last: boolean): Visited {
  switch (node.kind) {
    case 'bytes':
      return { open: open.filter((loop) => (loop.set & node.set) !== 0n), ways: 1 }
    case 'choice': {
      const branches = node.nodes.map((branch) => visit(branch, open, follow, last))
      const ways = branches.map((branch) => branch.ways)
      const clear = disjoint(node.nodes.map((branch) => firstOf(branch, follow)))
      return {
        open: union(...branches.map((branch) => branch.open)),
        ways: clear ? Math.max(...ways) : ways.reduce((sum, each) => sum + each, 0),
      }
    }
    case 'sequence': {
      const follows = node.nodes.map((_, index) =>
        node.nodes.slice(index + 1).reduceRight((after, next) => firstOf(next, after), follow),
      )
      return node.nodes.reduce<Visited>(
        (before, child, index) => {
          const after = visit(child, before.open, follows[index] ?? 0n, last && index === node.nodes.length - 1)
          return { open: after.open, ways: before.ways * after.ways }
        },
        { open, ways: 1 },
      )
    }
    case 'repeat':
      return node.max < LOOP_MIN ? visitFew(node, open, follow) : { open: visitLoop(node, open, last), ways: 1 }
  }
}

type Repeat = Extract<Node, { kind: 'repeat' }>

/** A body that comes more than once is met by the loops that it left open itself. */
function visitFew({ node, min, max }: Repeat, open: readonly Loop[], follow: Bytes): Visited {
  const again = max > 1 ? firstOf(node, follow) : follow
  const once = visit(node, open, again | follow, false)
  const inside = max > 1 ? visit(node, union(open, once.open), again | follow, false).open : once.open
  const mayStop = isNullable(node) || (firstOf(node, 0n) & follow) !== 0n
  return {
    open: min > 0 ? inside : union(open, inside),
    ways: once.ways ** max * (mayStop ? max - min + 1 : 1),
  }
}

function visitLoop({ node, min, text }: Repeat, open: readonly Loop[], last: boolean): readonly Loop[] {
  const set = loopSet(node, text)
  const rival = open.find((loop) => (loop.set & set) !== 0n)
  if (rival && !(last && set === ALL))
    throw new Unsafe(`${rival.text} and ${text} can match the same text, which takes too long to try`)
  const kept = min > 0 ? open.filter((loop) => (loop.set & set) !== 0n) : open
  return [...kept, { set, text }]
}

const union = (...lists: (readonly Loop[])[]): readonly Loop[] => [...new Set(lists.flat())]

function disjoint(sets: readonly Bytes[]): boolean {
  return sets.every((set, index) => sets.slice(0, index).every((other) => (other & set) === 0n))
}

/** The bytes that a node, followed by `follow`, can begin with. */
function firstOf(node: Node, follow: Bytes): Bytes {
  if (node.kind === 'bytes') return node.set
  if (node.kind === 'choice') return node.nodes.reduce((all, child) => all | firstOf(child, follow), 0n)
  if (node.kind === 'sequence') return node.nodes.reduceRight((after, child) => firstOf(child, after), follow)
  return firstOf(node.node, follow) | (node.min === 0 ? follow : 0n)
}

function isNullable(node: Node): boolean {
  if (node.kind === 'bytes') return false
  if (node.kind === 'choice') return node.nodes.some(isNullable)
  if (node.kind === 'sequence') return node.nodes.every(isNullable)
  return node.min === 0 || isNullable(node.node)
}

/** All bytes that a loop's body can match; the body must be of one form, so that there is one way to repeat it. */
function loopSet(node: Node, text: string): Bytes {
  if (node.kind === 'bytes') return node.set
  if (node.kind === 'repeat') throw new Unsafe(`${text} repeats a repetition, which takes too long to try`)
  const sets = node.nodes.map((child) => loopSet(child, text))
  if (node.kind === 'choice') {
    const firsts = node.nodes.map((child) => firstOf(child, 0n))
    if (!disjoint(firsts) || firsts.includes(0n))
      throw new Unsafe(`the choices of ${text} begin with the same text, which takes too long to try`)
  } else if (sets.length === 0) throw new Unsafe(`${text} repeats nothing`)
  return sets.reduce((all, set) => all | set, 0n)
}
