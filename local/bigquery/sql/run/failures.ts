import { messageOf } from '../../../../shared/errors.ts'
import { QueryError } from '../errors.ts'

/** What DuckDB says at run time, and what BigQuery says then. */
const FAILURES: readonly [RegExp, (found: RegExpExecArray) => string][] = [
  [
    /^Invalid Input Error: ((?:division by zero|Bad |Invalid |Array index|Failed to parse).*)/s,
    (found) => found[1] ?? '',
  ],
  [
    /Overflow in (?:addition|subtraction|multiplication|negation) of INT64 \((.*?)\)/,
    (found) => `int64 overflow: ${found[1]}`,
  ],
  [
    /Could not parse string "(.*?)" according to format specifier/s,
    (found) => `Failed to parse input string "${found[1]}"`,
  ],
  [/More than one row returned by a subquery/, () => 'Scalar subquery produced more than one element'],
  [/Malformed JSON/, () => 'Invalid JSON: syntax error while parsing value'],
  [/invalid (?:timestamp|date|time) field format: "(.*?)"/, (found) => `Invalid timestamp: '${found[1]}'`],
  [
    /(?:timestamp|date|time|interval) (?:field )?value out of range|Overflow in .* (?:timestamp|date)/i,
    () => 'The result of a date or time function is out of range',
  ],
  [/Unknown TimeZone '(.*?)'/, (found) => `Invalid time zone: ${found[1]}`],
  [/Could not convert string '(.*?)' to (?:INT64|BIGINT)/, (found) => `Bad int64 value: ${found[1]}`],
  [/Could not cast value .* to DECIMAL|Casting value .* to type DECIMAL/, () => 'numeric overflow'],
  [
    /Type (?:HUGEINT|INT128|DOUBLE) with value (\S+) can't be cast.*(?:INT64|BIGINT)/s,
    (found) => `int64 overflow: ${found[1]}`,
  ],
  [/^Invalid Input Error: (.*)/s, (found) => found[1] ?? ''],
  [/^(?:Out of Range|Conversion) Error: (.*)/s, (found) => found[1] ?? ''],
]

/** An error of a run in BigQuery's form. A mistake of the translation keeps DuckDB's words, so that it is seen. */
export function failureOf(thrown: unknown): QueryError {
  if (thrown instanceof QueryError) return thrown
  const message = messageOf(thrown)
  for (const [form, text] of FAILURES) {
    const found = form.exec(message)
    if (found !== null) return new QueryError(text(found).trim())
  }
  return new QueryError(`The local BigQuery failed on this statement: ${message}`)
}
