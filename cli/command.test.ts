import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UserError } from '../shared/errors.ts'
import { type Command, helpOf, parseCall } from './command.ts'

const command: Command = {
  usage: 'ROUTE [FILE]',
  summary: 'Does it.',
  options: {
    day: { value: 'YYYY-MM-DD', help: 'which day' },
    force: { help: 'anyway' },
  },
  run: async () => 0,
}
const parse = (...args: string[]) => {
  const call = parseCall('x', command, args)
  return call === 'help' ? assert.fail() : call
}
const refused = (args: string[], message: RegExp) =>
  assert.throws(
    () => parseCall('x', command, args),
    (error) => error instanceof UserError && message.test(error.message),
  )

test('arguments and options, in any order', () => {
  const call = parse('--day', '2026-01-02', 'a', '--force', 'b')
  assert.deepEqual(call.arguments, ['a', 'b'])
  assert.equal(call.text('day'), '2026-01-02')
  assert.equal(call.flag('force'), true)
  assert.equal(call.config, 'millrace.yaml')
})

test('what is not given', () => {
  const call = parse('a', '--config', 'other.yaml')
  assert.equal(call.text('day'), undefined)
  assert.equal(call.flag('force'), false)
  assert.equal(call.config, 'other.yaml')
})

test('a dash alone is an argument', () => {
  assert.deepEqual(parse('a', '-').arguments, ['a', '-'])
})

test('wrong use names the command and what it takes', () => {
  refused([], /millrace x takes: ROUTE \[FILE\]/)
  refused(['a', 'b', 'c'], /millrace x takes/)
  refused(['a', '--nope'], /millrace x: Unknown option '--nope'/)
  refused(['a', '--day'], /millrace x: .*--day/)
  refused(['a', '--force=1'], /millrace x: .*--force/)
})

test('help wins over missing arguments and names every option', () => {
  assert.equal(parseCall('x', command, ['-h']), 'help')
  const help = helpOf('x', command)
  for (const part of ['millrace x ROUTE [FILE]', 'Does it.', '--day YYYY-MM-DD  which day', '--force', '--config FILE'])
    assert.ok(help.includes(part), part)
})
