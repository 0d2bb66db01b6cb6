import { errorAt } from '../errors.ts'
import { coerce, textOf } from '../translate/casts.ts'
import { quote } from '../translate/literals.ts'
import { coercible, FLOAT64, INT64, STRING, type Typed, typeText } from '../translate/types.ts'
import type { FunctionCall } from './call.ts'

const SPECIFIER = /%([-+ 0#']*)(\d*)(\.\d+)?([a-zA-Z%])/g

/** FORMAT with a literal format: https://cloud.google.com/bigquery/docs/reference/standard-sql/format_function */
export function formatText(call: FunctionCall): Typed {
  const format = call.constant(0, 'format')
  const values = call.args.slice(1)
  const pieces: string[] = []
  let used = 0
  let from = 0
  for (const found of format.matchAll(SPECIFIER)) {
    const [all, flags = '', width = '', precision = '', letter = ''] = found
    if (found.index > from) pieces.push(quote(format.slice(from, found.index)))
    from = found.index + all.length
    if (letter === '%') pieces.push("'%'")
    else pieces.push(piece(call, values[used++], { flags, width, precision, letter }))
  }
  if (from < format.length) pieces.push(quote(format.slice(from)))
  if (used < values.length) throw errorAt('Too many arguments to FORMAT for pattern ' + JSON.stringify(format), call.at)
  return { sql: pieces.length === 0 ? "''" : `(${pieces.join(' || ')})`, type: STRING }
}

interface Specifier {
  flags: string
  width: string
  precision: string
  letter: string
}

function piece(call: FunctionCall, value: Typed | undefined, specifier: Specifier): string {
  const { flags, width, precision, letter } = specifier
  if (value === undefined) throw errorAt('Too few arguments to FORMAT', call.at)
  if (flags.includes("'")) throw errorAt("Not supported by the local BigQuery: the flag ' of FORMAT", call.at)
  const printf = (conversion: string, typed: Typed) =>
    `printf('%${flags}${width}${precision}${conversion}', ${typed.sql})`
  switch (letter) {
    case 'd':
    case 'i':
    case 'x':
    case 'X':
    case 'o':
      if (!coercible(value, INT64)) break
      return printf(letter === 'i' ? 'd' : letter, coerce(value, INT64, call.at))
    case 'f':
    case 'e':
    case 'g':
    case 'E':
    case 'G':
      if (!coercible(value, FLOAT64)) break
      return printf(letter, coerce(value, FLOAT64, call.at))
    case 's':
      if (!coercible(value, STRING)) break
      return printf('s', coerce(value, STRING, call.at))
    case 't': {
      const text = textOf(value)
      if (text === undefined) break
      return printf('s', { sql: `coalesce(${text}, 'NULL')`, type: STRING })
    }
    default:
      throw errorAt(`Not supported by the local BigQuery: %${letter} in FORMAT`, call.at)
  }
  throw errorAt(`Invalid type for argument to FORMAT: %${letter} with ${typeText(value.type)}`, call.at)
}
