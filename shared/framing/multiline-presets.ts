/** The start pattern of each preset. */
export const MULTILINE_PRESETS = {
  java: startOf([
    String.raw`Caused by: `,
    String.raw`Suppressed: `,
    String.raw`\.\.\. \d+ `,
    // The exception itself, behind the line that reports it.
    String.raw`(?:[a-z_]\w*\.)+[A-Z][\w$]*(?:Exception|Error|Throwable|Failure)\b`,
  ]),
  python: startOf([
    String.raw`Traceback \(most recent call last\):`,
    String.raw`During handling of the above exception`,
    String.raw`The above exception was the direct cause`,
    String.raw`(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Warning|Interrupt|Exit|Group)(?::|$)`,
  ]),
  go: startOf([
    String.raw`goroutine \d+ `,
    String.raw`created by `,
    String.raw`exit status \d`,
    String.raw`\[signal `,
    String.raw`[\w./*-]+\.\S+\(.*\)$`,
  ]),
  node: startOf([String.raw`[}\]]`, String.raw`Node\.js v\d`]),
}

/** Of lines that continue the event before them: every other one starts one. An indented line always continues. */
function startOf(continuations: readonly string[]): string {
  return `^(?!${[String.raw`\s`, ...continuations].join('|')})`
}
