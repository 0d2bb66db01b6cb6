import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { measures, type Parts } from '../agent/status.ts'
import { gaugesOf } from '../functions/kafka-worker/consumer.ts'
import { Metrics, metricsPage } from '../functions/kafka-worker/metrics.ts'
import { RULES } from '../shared/warehouse/protocol/events.ts'

// Goal: docs/operations/metrics-and-logs.md says what the code exports and writes, all of it and nothing else.

const PAGE = readFileSync('docs/operations/metrics-and-logs.md', 'utf8')
const SOURCES = globSync('{agent,functions,shared}/**/*.ts', { exclude: ['**/*.test.ts'] })
const CODE = SOURCES.map((file) => readFileSync(file, 'utf8')).join('\n')
/** Shorter parts of a message are found anywhere. */
const PART_CHARS_MIN = 8

/** The first cells of the tables below this heading, without those of the tables' heads. */
function firstCells(heading: string): string[] {
  const section = PAGE.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? ''
  const cells = Array.from(section.matchAll(/^\| (.+?) \|/gm), ([, cell = '']) => cell)
  return cells.filter((cell) => cell.startsWith('`')).map((cell) => cell.replaceAll('`', ''))
}

/** The words between quotes of a closed union in the code. */
function unionOf(file: string, name: string): string[] {
  const text = readFileSync(file, 'utf8').split(`type ${name} =`)[1]?.split('\n\n')[0] ?? ''
  return Array.from(text.matchAll(/'([a-z-]+)'/g), ([, word = '']) => word)
}

void suite('the page of metrics and logs', () => {
  void test('has the metrics of the agent', () => {
    const idle = { follower: { sources: new Map() }, uploader: { counts: {}, undecided: 0 }, startedMs: 0 }
    assert.deepEqual(firstCells("The agent's metrics"), Object.keys(measures(idle as unknown as Parts)))
  })

  void test("has the consumer's metrics, as in the log and as Prometheus reads them, and its rules", () => {
    const metrics = new Metrics()
    const names = Object.keys(metrics.snapshot(gaugesOf([])))
    assert.deepEqual(firstCells("The consumer's metrics").toSorted(), [...names, ...Object.keys(RULES)].toSorted())
    metrics.rule('surprise')
    assert.match(
      metricsPage(metrics.snapshot(gaugesOf([])))[1],
      /^millrace_partitions_stopped 0$[^]*^millrace_rules\{name=/m,
    )
  })

  void test('has every reason to stop a partition', () => {
    const halts = Array.from(CODE.matchAll(/halt\('([a-z-]+)'/g), ([, reason = '']) => reason)
    const stops = unionOf('shared/warehouse/protocol/events.ts', 'StopReason')
    const fetches = unionOf('shared/kafka/types.ts', 'StopReason')
    const all = new Set([...halts, ...stops, ...fetches])
    assert.ok(all.size > 9)
    const told = firstCells('What to do: the consumer').filter((cell) => /^[a-z-]+$/.test(cell))
    assert.deepEqual(told.toSorted(), [...all].toSorted())
  })

  void test('quotes messages as the code writes them', () => {
    const headings = ['the agent', 'the consumer', 'chunk-load, backfill, kafka-push']
    const messages = headings.flatMap((who) => firstCells(`What to do: ${who}`)).filter((cell) => cell.includes(' '))
    assert.ok(messages.length > 20)
    for (const message of messages) {
      const parts = message.split('…').map((part) => part.trim())
      const long = parts.filter((part) => part.length >= PART_CHARS_MIN)
      assert.ok(long.length > 0, message)
      for (const part of long) assert.ok(CODE.includes(part), `${message}: "${part}"`)
    }
  })
})
