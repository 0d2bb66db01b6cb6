import { createHistogram } from 'node:perf_hooks'
import { type Answer, prometheusPage } from '../../shared/telemetry/index.ts'
import type { Rule } from '../../shared/warehouse/protocol/events.ts'

/** Answer times of appends, in milliseconds. Two digits are enough, and take little memory. */
const ANSWER_TIMES = { lowest: 1, highest: 3_600_000, figures: 2 }

/** Counters of one process; numbers only ever grow, except the gauges that `snapshot` is given. */
export class Metrics {
  /** Events: records taken from Kafka and settled: rows, dead letters, tombstones. */
  readonly totals = { events: 0, rows: 0, bytes: 0, dead_letters: 0 }
  readonly #byName = { dead_letters_by_reason: {} as Counters, rules: {} as Counters }
  readonly #answerMs = createHistogram(ANSWER_TIMES)

  settled(events: number, rows: number, bytes: number, reasons: readonly string[]): void {
    this.totals.events += events
    this.totals.rows += rows
    this.totals.bytes += bytes
    this.totals.dead_letters += reasons.length
    for (const reason of reasons) count(this.#byName.dead_letters_by_reason, reason)
  }

  rule(rule: Rule): void {
    count(this.#byName.rules, rule)
  }

  append(ms: number): void {
    this.#answerMs.record(Math.max(1, Math.ceil(ms)))
  }

  /** Everything by name, in the words of the `millrace.metrics` line. */
  snapshot(gauges: Readonly<Record<string, number>>): Record<string, unknown> {
    return {
      ...this.totals,
      ...gauges,
      append_ms_p50: this.#answerMs.percentile(50),
      append_ms_p99: this.#answerMs.percentile(99),
      ...structuredClone(this.#byName),
    }
  }
}

type Counters = Record<string, number>

function count(counters: Counters, name: string): void {
  counters[name] = (counters[name] ?? 0) + 1
}

/** What only grows, as Prometheus wants to know. */
const COUNTERS = new Set(['events', 'rows', 'bytes', 'dead_letters', 'dead_letters_by_reason', 'rules'])

/** A snapshot, for Prometheus. */
export function metricsPage(snapshot: Readonly<Record<string, unknown>>): Answer {
  return prometheusPage('millrace_', snapshot, (name) => COUNTERS.has(name))
}
