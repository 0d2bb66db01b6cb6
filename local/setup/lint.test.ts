import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

const ROOT = join(import.meta.dirname, '..', '..')
const ROOMS = ['agent', 'functions', 'cli', 'shared']
const IMPORT = 'no-restricted-imports'

/** [file, code, the rule that must find it; none: it must pass] */
const PLANTS: [file: string, code: string, rule?: string][] = [
  ['agent/follow/to-functions.ts', "import '../../functions/x.ts'", IMPORT],
  ['agent/to-cli.ts', "import '../cli/main.ts'", IMPORT],
  ['agent/to-local.ts', "export const x = await import('../local/kafka/index.ts')", IMPORT],
  ['agent/to-shared.ts', "import '../shared/errors.ts'"],
  ['agent/a.test.ts', "import '../local/kafka/index.ts'"],
  ['functions/x/to-agent.ts', "import '../../agent/index.ts'", IMPORT],
  ['functions/x/to-local.ts', "import '../../local/kafka/index.ts'", IMPORT],
  ['functions/x/kafka.ts', "import 'kafkajs'", IMPORT],
  ['cli/to-all.ts', "await import('../agent/index.ts')\nawait import('../local/main.ts')"],
  ['cli/bigquery.ts', "import '@google-cloud/bigquery'", IMPORT],
  ['shared/config/to-agent.ts', "import '../../agent/index.ts'", IMPORT],
  ['shared/to-functions.ts', "import '../functions/index.ts'", IMPORT],
  ['shared/to-cli.ts', "import '../cli/main.ts'", IMPORT],
  ['shared/to-local.ts', "import '../local/kafka/index.ts'", IMPORT],
  ['shared/kafka/own.ts', "import 'kafkajs'\nimport 'kafkajs/src/network'"],
  ['shared/kafka/bigquery.ts', "import '@google-cloud/bigquery'", IMPORT],
  ['shared/warehouse/own.ts', "import '@google-cloud/bigquery'\nimport '@google-cloud/bigquery-storage'"],
  ['shared/warehouse/kafka.ts', "import 'kafkajs/src/network'", IMPORT],
  ['shared/warehouse/storage.ts', "import '@google-cloud/storage'", IMPORT],
  ['shared/chunks/own.ts', "import '@google-cloud/storage'"],
  ['shared/chunks/bigquery.ts', "import '@google-cloud/bigquery-storage'", IMPORT],
  ['shared/codec/io.ts', "import 'node:fs/promises'", IMPORT],
  ['shared/schema/io.ts', "import 'node:http'", IMPORT],
  ['shared/framing/io.ts', "import 'fs'", IMPORT],
  ['shared/warehouse/protocol/io.ts', "import 'node:timers/promises'", IMPORT],
  ['shared/chunks/state.ts', "import 'node:net'", IMPORT],
  ['shared/codec/io.test.ts', "import 'node:fs'"],
  ['shared/one.ts', "import './two.ts'\nexport const one = 1", 'no-cycle'],
  ['shared/two.ts', "import './one.ts'\nexport const two = 2", 'no-cycle'],
  ['shared/floating.ts', "import { rm } from 'node:fs/promises'\nrm('x')", 'no-floating-promises'],
  ['shared/floating.test.ts', "import { test } from 'node:test'\ntest('x', () => undefined)"],
  ['shared/misused.ts', 'setTimeout(async () => { await Promise.resolve() }, 1)', 'no-misused-promises'],
  [
    'shared/open.ts',
    "export function f(a: 'x' | 'y') {\n  switch (a) {\n    case 'x':\n  }\n}",
    'switch-exhaustiveness-check',
  ],
  ['shared/any.ts', 'export const x: any = 1', 'no-explicit-any'],
  [
    'shared/long-function.ts',
    `export function f() {\n${"  process.stdout.write('')\n".repeat(69)}}`,
    'max-lines-per-function',
  ],
  ['shared/full-function.ts', `export function f() {\n${"  process.stdout.write('')\n".repeat(68)}}`],
  ['shared/long-file.ts', "process.stdout.write('')\n".repeat(501), 'max-lines'],
]

test('each rule of oxlint.config.ts finds what is planted, and lets pass what is allowed', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-lint-test-'))
  t.after(() => rmSync(dir, { recursive: true }))
  symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'))
  for (const file of ['oxlint.config.ts', 'tsconfig.json', 'package.json'])
    copyFileSync(join(ROOT, file), join(dir, file))
  for (const [file, code] of PLANTS) {
    mkdirSync(dirname(join(dir, file)), { recursive: true })
    writeFileSync(join(dir, file), `${code}\n`)
  }
  const lint = join(ROOT, 'node_modules', 'oxlint', 'bin', 'oxlint')
  const { stdout } = spawnSync(process.execPath, [lint, '--format=json', ...ROOMS], { cwd: dir, encoding: 'utf8' })
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: { code: string; filename: string }[] }
  const found = diagnostics.map(({ filename, code }) => `${filename} ${/\((.*)\)/.exec(code)?.[1]}`)
  const expected = PLANTS.flatMap(([file, , rule]) => (rule === undefined ? [] : [`${file} ${rule}`]))
  assert.deepEqual([...new Set(found)].sort(), expected.sort())
})
