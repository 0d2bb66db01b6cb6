/**
 * Finds regular expressions that could take for ever on a hostile line. JavaScript's engine backtracks: two repetitions
 * that can share a stretch of text try every way of dividing it. The check is stricter than it must be, and says what
 * it does not like; it allows what log formats need: repetitions that end at something they cannot match.
 */
export function checkPattern(source: string): string | undefined {
  const parser = new Parser(source)
  try {
    const node = parser.alternatives()
    if (!parser.done()) return `unexpected ${source.slice(parser.at)}`
    ambiguity(node, [], true)
    return undefined
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

/** A repetition of fewer than this many is no loop: what it can be divided into is bounded. */
const LOOP_MIN = 33

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
    if (!digits) return CONTROLS[c] ?? c.charCodeAt(0)
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

/**
 * Walks a pattern from left to right with the loops that could still give bytes back to what follows.
 * @param last nothing follows the node
 * @throws Unsafe
 */
function ambiguity(node: Node, open: readonly Loop[], last: boolean): readonly Loop[] {
  if (node.kind === 'bytes') return open.filter((loop) => (loop.set & node.set) !== 0n)
  if (node.kind === 'choice') return node.nodes.flatMap((branch) => ambiguity(branch, open, last))
  if (node.kind === 'sequence') {
    return node.nodes.reduce(
      (loops, child, index) => ambiguity(child, loops, last && index === node.nodes.length - 1),
      open,
    )
  }
  if (node.max < LOOP_MIN) {
    const inside = ambiguity(node.node, open, false)
    return node.min > 0 ? inside : [...open, ...inside.filter((loop) => !open.includes(loop))]
  }
  const set = loopSet(node.node, node.text)
  const rival = open.find((loop) => (loop.set & set) !== 0n)
  if (rival && !(last && set === ALL))
    throw new Unsafe(`${rival.text} and ${node.text} can match the same text, which takes too long to try`)
  const kept = node.min > 0 ? open.filter((loop) => (loop.set & set) !== 0n) : open
  return [...kept, { set, text: node.text }]
}

/** All bytes that a loop's body can match; the body must be of one form, so that there is one way to repeat it. */
function loopSet(node: Node, text: string): Bytes {
  if (node.kind === 'bytes') return node.set
  if (node.kind === 'repeat') throw new Unsafe(`${text} repeats a repetition, which takes too long to try`)
  const sets = node.nodes.map((child) => loopSet(child, text))
  if (node.kind === 'choice') {
    const firsts = node.nodes.map((child) => firstSet(child))
    const shared = firsts.some((first, index) => firsts.slice(0, index).some((other) => (other & first) !== 0n))
    if (shared || firsts.includes(0n))
      throw new Unsafe(`the choices of ${text} begin with the same text, which takes too long to try`)
  } else if (sets.length === 0) throw new Unsafe(`${text} repeats nothing`)
  return sets.reduce((all, set) => all | set, 0n)
}

function firstSet(node: Node): Bytes {
  if (node.kind === 'bytes') return node.set
  if (node.kind === 'repeat') return firstSet(node.node)
  if (node.kind === 'choice') return node.nodes.reduce((all, child) => all | firstSet(child), 0n)
  return node.nodes[0] ? firstSet(node.nodes[0]) : 0n
}
