import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'

interface Run {
  readonly program: 'kafka' | 'agent'
  readonly forTime: string
  /** The name of a planted defect. */
  readonly mutant?: string
}

/** What failed keeps its folder: it goes with this one. */
function chaos({ program, forTime, mutant = '' }: Run): { status: number | null; lastLine: string; output: string } {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-chaos-test-'))
  const env = { ...process.env, CHAOS_MUTANT: mutant, TMPDIR: folder }
  const args = [join(import.meta.dirname, `${program}.ts`), '--seed', '7', '--for', forTime]
  try {
    const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8', env })
    return { status, lastLine: stdout.trimEnd().split('\n').at(-1) ?? '', output: `${stdout}${stderr}` }
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  }
}

void suite('one seed of chaos loses and doubles nothing', () => {
  for (const program of ['kafka', 'agent'] as const) {
    void test(program, () => {
      const { status, lastLine, output } = chaos({ program, forTime: '60s' })
      assert.equal(lastLine, 'missing=0 duplicates=0', output)
      assert.equal(status, 0, output)
    })
  }
})

/** Without these a chaos program that cannot fail would look like one that has nothing to find. */
const PLANTED = [
  { program: 'kafka', mutant: 'all-landed', fails: /^missing=[1-9]\d* duplicates=\d+$/ },
  { program: 'kafka', mutant: 'none-landed', fails: /^missing=\d+ duplicates=[1-9]\d*$/ },
  { program: 'agent', mutant: 'positions-alone', fails: /^missing=[1-9]\d* duplicates=\d+$/ },
  { program: 'agent', mutant: 'events-alone', fails: /^missing=\d+ duplicates=[1-9]\d*$/ },
] as const

void suite('a planted defect is found', () => {
  for (const { program, mutant, fails } of PLANTED) {
    void test(`${program}: ${mutant}`, () => {
      const { status, lastLine, output } = chaos({ program, forTime: '20s', mutant })
      assert.match(lastLine, fails, output)
      assert.equal(status, 1, output)
    })
  }
})
