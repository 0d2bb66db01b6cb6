import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { bundleAgent } from '../../infra/packages/bundle.ts'
import { BUNDLE } from '../support/agent.ts'
import { folderWith } from '../support/command.ts'

// The bundle lies alone in a folder without node_modules, so it can only find what is in it.
const outDir = mkdtempSync(join(tmpdir(), 'millrace-bundle-'))
after(() => rmSync(outDir, { recursive: true }))
const { file, notices } = await bundleAgent({ outDir, version: '1.2.3' })

const bundled = (folder: string, ...args: string[]) =>
  promisify(execFile)(process.execPath, [file, ...args], { cwd: folder })

test('the bundle says its version and commit, and what can be done on the host of an agent', async (t) => {
  const folder = folderWith(t, {})
  assert.match((await bundled(folder, '--version')).stdout, /^millrace 1\.2\.3 \(commit [0-9a-z-]+\)\n$/)
  assert.match(readFileSync(file, 'utf8').slice(0, 100), /^#!.*\n\/\/ Millrace 1\.2\.3 \(commit /)
  const { stdout } = await bundled(folder, '--help')
  assert.deepEqual(
    stdout.split('\n').flatMap((line) => /^ {2}([a-z]+) /.exec(line)?.[1] ?? []),
    ['agent', 'adopt', 'check', 'init', 'status', 'try'],
  )
})

test('recognising a log, its rows and the check of a configuration work in the bundle', async (t) => {
  const folder = folderWith(t, { 'events.jsonl': '{"id":"9007199254740993","at":"2026-01-02T03:04:05Z"}\n'.repeat(3) })
  await bundled(folder, 'init', 'events.jsonl')
  const { stdout } = await bundled(folder, 'try', 'events', 'events.jsonl')
  assert.equal(stdout.split('\n').length, 4)
  assert.match(stdout, /^\{"row":\{"id":"9007199254740993"/)
  assert.match((await bundled(folder, 'check')).stdout, /all well/)
})

test('status works in the bundle, without the part that needs BigQuery', async (t) => {
  const route = '{ format: raw, table: e, push: true }'
  const push = '{ auth: secret, secret: { env: SECRET } }'
  const config = `{ project: p, dataset: d, push: ${push}, routes: { e: ${route} } }`
  const { stdout } = await bundled(folderWith(t, { 'millrace.yaml': config }), 'status')
  assert.deepEqual(JSON.parse(stdout), { wrong: [], unreachable: {} })
})

test('the licences of what is bundled lie beside it', () => {
  const text = readFileSync(notices, 'utf8')
  for (const name of ['kafkajs', '@google-cloud/storage', 'protobufjs', 'pino', 'zod', 'yaml']) {
    assert.match(text, new RegExp(`^${name} \\d+\\.\\d+\\.\\d+: (MIT|ISC|BSD-3-Clause|Apache-2\\.0)$`, 'm'))
  }
  assert.doesNotMatch(text, /^(snappy|lz4-napi|@google-cloud\/bigquery) /m, 'not in it')
})

// All that is said of publishing and uploading, once more for the bundle: they start what this variable names.
process.env[BUNDLE] = file
await import('../agent/publish.test.ts')
await import('../agent/upload.test.ts')
