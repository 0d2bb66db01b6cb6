import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Metrics, metricsPage } from './metrics.ts'

void test('figures add up, and answer times have their median and their 99th percentile', () => {
  const metrics = new Metrics()
  assert.partialDeepStrictEqual(metrics.snapshot({}), { rows: 0, append_ms_p50: 0, append_ms_p99: 0, rules: {} })
  metrics.settled(12, 9, 900, ['refused', 'too_deep'])
  metrics.settled(3, 2, 100, ['refused'])
  for (let ms = 1; ms <= 100; ms++) metrics.append(ms - 0.5)
  metrics.rule('surprise')
  metrics.rule('surprise')
  const figures = metrics.snapshot({ lag_events: 4 })
  assert.deepEqual(figures, {
    ...{ events: 15, rows: 11, bytes: 1000, dead_letters: 3, lag_events: 4, append_ms_p50: 50, append_ms_p99: 99 },
    ...{ dead_letters_by_reason: { refused: 2, too_deep: 1 }, rules: { surprise: 2 } },
  })
  const page = JSON.stringify(metricsPage(figures))
  for (const line of ['millrace_rows 11', 'millrace_lag_events 4', 'millrace_append_ms_p99 99'])
    assert.ok(page.includes(`${line}\\n`), page)
})
