/** Lines that continue the event before them; every other line starts one. An indented line always continues. */
const CONTINUATIONS = {
  java: [
    String.raw`Caused by: `,
    String.raw`Suppressed: `,
    String.raw`\.\.\. \d+ `,
    // The exception itself, behind the line that reports it.
    String.raw`(?:[a-z_]\w*\.)+[A-Z][\w$]*(?:Exception|Error|Throwable|Failure)\b`,
  ],
  python: [
    String.raw`Traceback \(most recent call last\):`,
    String.raw`During handling of the above exception`,
    String.raw`The above exception was the direct cause`,
    String.raw`(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Warning|Interrupt|Exit|Group)(?::|$)`,
  ],
  go: [
    String.raw`goroutine \d+ `,
    String.raw`created by `,
    String.raw`exit status \d`,
    String.raw`\[signal `,
    String.raw`[\w./*-]+\.\S+\(.*\)$`,
  ],
  node: [String.raw`[}\]]`, String.raw`Node\.js v\d`],
}

/** The start pattern of each preset. */
export const MULTILINE_PRESETS: Readonly<Record<keyof typeof CONTINUATIONS, string>> = {
  java: startOf(CONTINUATIONS.java),
  python: startOf(CONTINUATIONS.python),
  go: startOf(CONTINUATIONS.go),
  node: startOf(CONTINUATIONS.node),
}

function startOf(continuations: readonly string[]): string {
  return `^(?!${[String.raw`\s`, ...continuations].join('|')})`
}
