import { errorAt, type Position } from '../errors.ts'
import type { Expr } from '../parse/ast.ts'
import type { Context } from './context.ts'
import { quote } from './literals.ts'
import { columnOfRange, lookup, type Range, rangeValue, suggestion } from './scope.ts'
import { type SqlType, type Typed, typeText } from './types.ts'

interface Step {
  name: string
  at: Position
}

/** Resolves `a.b.c`: a column or a range variable, and then fields of structs and members of JSON. */
export function resolvePath(expr: Expr, context: Context, translate: (base: Expr) => Typed): Typed {
  const { base, steps } = flatten(expr)
  if (base !== undefined) return steps.reduce((value, step) => fieldOf(value, step.name, step.at), translate(base))
  const [first, ...rest] = steps
  if (first === undefined) throw new Error('a path has a first name')
  const start = firstName(first, rest, context)
  return start.rest.reduce((value, step) => fieldOf(value, step.name, step.at), start.value)
}

function flatten(expr: Expr): { base?: Expr; steps: Step[] } {
  const steps: Step[] = []
  let inner = expr
  while (inner.kind === 'field') {
    steps.unshift({ name: inner.name, at: inner.at })
    inner = inner.base
  }
  if (inner.kind !== 'name') return { base: inner, steps }
  return { steps: [{ name: inner.name, at: inner.at }, ...steps] }
}

function firstName(first: Step, rest: Step[], context: Context): { value: Typed; rest: Step[] } {
  const alias = context.aliases?.get(first.name.toLowerCase())
  if (alias !== undefined) return { value: alias, rest }
  const found = lookup(context.scope, first.name, first.at, rest.length > 0)
  if (found === undefined) {
    const meant = suggestion(context.scope, first.name)
    throw errorAt(`Unrecognized name: ${first.name}${meant === undefined ? '' : `; Did you mean ${meant}?`}`, first.at)
  }
  if (found.kind === 'column') {
    note(context, [found.column.sql], [first, ...rest])
    return { value: { sql: found.column.sql, type: found.column.type }, rest }
  }
  return rangeMember(first, rest, found.range, context)
}

function rangeMember(first: Step, rest: Step[], range: Range, context: Context): { value: Typed; rest: Step[] } {
  const [member, ...further] = rest
  if (member === undefined || range.value !== undefined) {
    note(
      context,
      range.columns.map((column) => column.sql),
      [first, ...rest],
    )
    return { value: rangeValue(range), rest }
  }
  const column = columnOfRange(range, member.name, member.at)
  if (column === undefined) {
    // A column may have the name of its table: `millrace.source` of a table `millrace`.
    const twin = lookup(context.scope, first.name, first.at, false)
    if (twin?.kind === 'column') {
      note(context, [twin.column.sql], [first, ...rest])
      return { value: { sql: twin.column.sql, type: twin.column.type }, rest }
    }
  }
  if (column === undefined) throw errorAt(`Name ${member.name} not found inside ${first.name}`, member.at)
  note(context, [column.sql], [first, ...rest])
  return { value: { sql: column.sql, type: column.type }, rest: further }
}

/** Remembers a column of this SELECT's own FROM clause, for the rule of GROUP BY. */
function note(context: Context, columns: readonly string[], path: readonly Step[]): void {
  const own = context.scope.ranges.some((range) => range.columns.some((column) => columns.includes(column.sql)))
  const [first] = path
  if (!own || first === undefined) return
  context.grouping.loose.push({
    name: path.map((step) => step.name).join('.'),
    at: first.at,
    clause: context.clause.name,
  })
}

/** A field of a struct, or a member of a JSON object. */
export function fieldOf(value: Typed, name: string, at: Position): Typed {
  const { type } = value
  if (type.kind === 'JSON') {
    return { sql: `json_extract(${value.sql}, ${quote(`$."${name.replaceAll('"', '\\"')}"`)})`, type }
  }
  if (type.kind !== 'STRUCT') throw errorAt(`Cannot access field ${name} on a value with type ${typeText(type)}`, at)
  const index = fieldIndex(type, name, at)
  const field = type.fields[index]
  if (field === undefined) throw errorAt(`Field name ${name} does not exist in ${typeText(type)}`, at)
  return { sql: `struct_extract(${value.sql}, ${quote(field.name ?? name)})`, type: field.type }
}

function fieldIndex(type: SqlType & { kind: 'STRUCT' }, name: string, at: Position): number {
  const matches = type.fields.flatMap((field, i) => (field.name?.toLowerCase() === name.toLowerCase() ? [i] : []))
  if (matches.length > 1) throw errorAt(`Struct field name ${name} is ambiguous`, at)
  return matches[0] ?? -1
}
