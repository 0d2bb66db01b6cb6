import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseTestArguments, selectTests } from './arguments.ts'

const ALL = ['agent/a.test.ts', 'agent/b.long.test.ts', 'agents/c.test.ts', 'test/d.long.test.ts']
const selected = (...args: string[]) => selectTests(ALL, parseTestArguments(args))

test('without paths: the short ones, or with --long the long ones', () => {
  assert.deepEqual(selected(), ['agent/a.test.ts', 'agents/c.test.ts'])
  assert.deepEqual(selected('--long'), ['agent/b.long.test.ts', 'test/d.long.test.ts'])
})

test('a folder gives its tests of the asked kind, a file itself', () => {
  assert.deepEqual(selected('agent'), ['agent/a.test.ts'])
  assert.deepEqual(selected('./agent/', '--long'), ['agent/b.long.test.ts'])
  assert.deepEqual(selected('agent/b.long.test.ts'), ['agent/b.long.test.ts'])
  assert.deepEqual(selected('nowhere'), [])
})

test('other flags are for the runner', () => {
  const { flags, paths, long } = parseTestArguments(['--test-name-pattern=x y', '--long', 'agent'])
  assert.deepEqual({ flags, paths, long }, { flags: ['--test-name-pattern=x y'], paths: ['agent'], long: true })
})
