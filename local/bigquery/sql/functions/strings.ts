import { errorAt } from '../errors.ts'
import { concatenate } from '../translate/operators.ts'
import { quote } from '../translate/literals.ts'
import { arrayOf, STRING, type Typed } from '../translate/types.ts'
import type { FunctionCall, FunctionTable } from './call.ts'
import { formatText } from './format.ts'

/** White space as Unicode has it: what TRIM takes away by itself; DuckDB's takes only blanks. */
const WHITE_SPACE = quote(
  ' \t\n\v\f\r\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000',
)
/** A start of 0 counts as 1, and one before the text as 1 too. */
const START = 'CASE WHEN $2 = 0 OR $2 < -length($1) THEN 1 ELSE $2 END'

/** String functions: https://cloud.google.com/bigquery/docs/reference/standard-sql/string_functions */
export const STRINGS: FunctionTable = {
  ASCII: 'STRING -> INT64 | CAST(ascii($1) AS BIGINT)',
  BYTE_LENGTH: ['STRING -> INT64 | CAST(strlen($1) AS BIGINT)', 'BYTES -> INT64 | CAST(octet_length($1) AS BIGINT)'],
  CHAR_LENGTH: 'STRING -> INT64 | length($1)',
  CHARACTER_LENGTH: 'STRING -> INT64 | length($1)',
  CHR: 'INT64 -> STRING | chr(CAST($1 AS INTEGER))',
  CODE_POINTS_TO_STRING:
    "INT64[] -> STRING | array_to_string(list_transform($1, lambda code: chr(CAST(code AS INTEGER))), '')",
  CONCAT: (call) => {
    if (call.args.length === 0) throw call.noSignature()
    return concatenate(call.args, 'function', call.at)
  },
  CONTAINS_SUBSTR: 'STRING, STRING -> BOOL | contains(lower(nfc_normalize($1)), lower(nfc_normalize($2)))',
  ENDS_WITH: 'STRING, STRING -> BOOL | ends_with($1, $2)',
  FORMAT: formatText,
  FROM_BASE64: 'STRING -> BYTES | from_base64($1)',
  FROM_HEX: 'STRING -> BYTES | unhex($1)',
  INSTR: 'STRING, STRING -> INT64 | strpos($1, $2)',
  LEFT: 'STRING, INT64 -> STRING | left($1, $2)',
  LENGTH: ['STRING -> INT64 | length($1)', 'BYTES -> INT64 | CAST(octet_length($1) AS BIGINT)'],
  LOWER: 'STRING -> STRING | lower($1)',
  LPAD: [
    "STRING, INT64 -> STRING | lpad($1, CAST($2 AS INTEGER), ' ')",
    'STRING, INT64, STRING -> STRING | lpad($1, CAST($2 AS INTEGER), $3)',
  ],
  LTRIM: [`STRING -> STRING | ltrim($1, ${WHITE_SPACE})`, 'STRING, STRING -> STRING | ltrim($1, $2)'],
  MD5: ['STRING -> BYTES | unhex(md5($1))', 'BYTES -> BYTES | unhex(md5($1))'],
  NORMALIZE: 'STRING -> STRING | nfc_normalize($1)',
  OCTET_LENGTH: ['STRING -> INT64 | CAST(strlen($1) AS BIGINT)', 'BYTES -> INT64 | CAST(octet_length($1) AS BIGINT)'],
  REGEXP_CONTAINS: 'STRING, STRING -> BOOL | regexp_matches($1, $2)',
  REGEXP_EXTRACT: (call) => regexpExtract(call),
  REGEXP_EXTRACT_ALL: (call) => {
    call.count(2)
    const [text, pattern] = [call.typed(0, STRING), call.typed(1, STRING)]
    return { sql: `regexp_extract_all(${text.sql}, ${pattern.sql}, ${capture(call)})`, type: arrayOf(STRING) }
  },
  REGEXP_REPLACE: "STRING, STRING, STRING -> STRING | regexp_replace($1, $2, $3, 'g')",
  REGEXP_SUBSTR: (call) => regexpExtract(call),
  REPEAT: 'STRING, INT64 -> STRING | repeat($1, $2)',
  REPLACE: "STRING, STRING, STRING -> STRING | CASE WHEN $2 = '' THEN $1 ELSE replace($1, $2, $3) END",
  REVERSE: 'STRING -> STRING | reverse($1)',
  RIGHT: 'STRING, INT64 -> STRING | right($1, $2)',
  RPAD: [
    "STRING, INT64 -> STRING | rpad($1, CAST($2 AS INTEGER), ' ')",
    'STRING, INT64, STRING -> STRING | rpad($1, CAST($2 AS INTEGER), $3)',
  ],
  RTRIM: [`STRING -> STRING | rtrim($1, ${WHITE_SPACE})`, 'STRING, STRING -> STRING | rtrim($1, $2)'],
  SHA1: ['STRING -> BYTES | unhex(sha1($1))', 'BYTES -> BYTES | unhex(sha1($1))'],
  SHA256: ['STRING -> BYTES | unhex(sha256($1))', 'BYTES -> BYTES | unhex(sha256($1))'],
  SPLIT: ["STRING -> STRING[] | string_split($1, ',')", 'STRING, STRING -> STRING[] | string_split($1, $2)'],
  STARTS_WITH: 'STRING, STRING -> BOOL | starts_with($1, $2)',
  STRPOS: 'STRING, STRING -> INT64 | strpos($1, $2)',
  SUBSTR: [
    `STRING, INT64 -> STRING | substr($1, ${START})`,
    `STRING, INT64, INT64 -> STRING | substr($1, ${START}, $3)`,
  ],
  SUBSTRING: [
    `STRING, INT64 -> STRING | substr($1, ${START})`,
    `STRING, INT64, INT64 -> STRING | substr($1, ${START}, $3)`,
  ],
  TO_BASE64: 'BYTES -> STRING | base64($1)',
  TO_CODE_POINTS:
    "STRING -> INT64[] | list_transform(string_split($1, ''), lambda letter: CAST(unicode(letter) AS BIGINT))",
  TO_HEX: 'BYTES -> STRING | lower(hex($1))',
  TRANSLATE: 'STRING, STRING, STRING -> STRING | translate($1, $2, $3)',
  TRIM: [`STRING -> STRING | trim($1, ${WHITE_SPACE})`, 'STRING, STRING -> STRING | trim($1, $2)'],
  UNICODE: "STRING -> INT64 | CASE WHEN $1 = '' THEN 0::BIGINT ELSE CAST(unicode($1) AS BIGINT) END",
  UPPER: 'STRING -> STRING | upper($1)',
}

/** The whole match, or its only group; NULL without a match, where DuckDB gives an empty text. */
function regexpExtract(call: FunctionCall): Typed {
  call.count(2)
  const [text, pattern] = [call.typed(0, STRING).sql, call.typed(1, STRING).sql]
  const sql = `CASE WHEN regexp_matches(${text}, ${pattern}) THEN regexp_extract(${text}, ${pattern}, ${capture(call)}) END`
  return { sql, type: STRING }
}

/** 1 when the pattern has a capturing group, 0 when it has none; more are refused, as in BigQuery. */
function capture(call: FunctionCall): 0 | 1 {
  const pattern = call.constant(1, 'pattern')
  const plain = pattern.replace(/\\[\s\S]|\[\^?\]?(?:\\[\s\S]|[^\]\\])*\]/g, '')
  const groups = plain.match(/\((?!\?)|\(\?P?<(?![=!])/g)?.length ?? 0
  if (groups > 1)
    throw errorAt(
      'Regular expressions passed into extraction functions must not have more than 1 capturing group',
      call.at,
    )
  return groups === 1 ? 1 : 0
}
