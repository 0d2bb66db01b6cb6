import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UserError } from '../shared/errors.ts'
import { type Command, helpOf, parseCall } from './command.ts'
import { runCommand } from './run-command.ts'

const command: Command = {
  usage: 'ROUTE [FILE]',
  summary: 'Does it.',
  options: {
    day: { value: 'YYYY-MM-DD', help: 'which day' },
    force: { help: 'anyway' },
  },
  run: async () => undefined,
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
  assert.equal(call.file, 'millrace.yaml')
})

test('what is not given', () => {
  const call = parse('a', '--config', 'other.yaml')
  assert.equal(call.text('day'), undefined)
  assert.equal(call.flag('force'), false)
  assert.equal(call.file, 'other.yaml')
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

test('2 is for what only an operator can mend, 1 for what nobody expected', async (t) => {
  const written: string[] = []
  t.mock.method(process.stderr, 'write', (text: string) => written.push(text) > 0)
  const fails = (error: Error) => ({ x: async () => ({ command: { summary: '', run: () => Promise.reject(error) } }) })
  const codes: unknown[] = []
  for (const error of [new UserError('no such table', 'make it'), new TypeError('of undefined')]) {
    await runCommand(fails(error), ['x'])
    codes.push(process.exitCode)
  }
  process.exitCode = 0
  t.mock.restoreAll()
  assert.deepEqual(codes, [2, 1])
  assert.equal(written[0], 'no such table\nfix: make it\n')
  assert.match(written[1] ?? '', /^TypeError: of undefined\n +at /)
})
