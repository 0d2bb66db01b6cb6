import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

void test('one seed of chaos between Kafka and BigQuery loses and doubles nothing', () => {
  const program = fileURLToPath(new URL('./kafka.ts', import.meta.url))
  const { stdout, status } = spawnSync(process.execPath, [program, '--seed', '7', '--for', '60s'], { encoding: 'utf8' })
  assert.match(stdout, /\nmissing=0 duplicates=0\n$/)
  assert.equal(status, 0)
})
