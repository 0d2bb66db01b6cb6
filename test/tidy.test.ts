import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'

// What no linter here can say. Each rule names the way out.

const FILES = globSync('{agent,functions,shared,cli,local,infra,bench,test,examples}/**/*.{ts,js,sh}', {
  exclude: ['**/node_modules/**'],
}).sort()
const PAGES = globSync(['*.md', 'docs/**/*.md']).sort()

interface Rule {
  text: RegExp
  /** A line that the rule must find: a rule that finds nothing says nothing. */
  example: string
  instead: string
  /** Files that may have it, with the reason beside the path. */
  except?: string[]
  only?: RegExp
}

const BANNED: Rule[] = [
  { text: /\b(FIXME|XXX|HACK|TODO)\b/, example: '// TODO later', instead: 'do it, or open an issue' },
  {
    text: /@ts-(ignore|nocheck|expect-error)|(oxlint|eslint|biome)-(disable|ignore)/,
    example: '// @ts-ignore',
    instead: 'mend the code',
  },
  { text: /\bas (unknown as )?any\b/, example: 'x as any', instead: 'unknown and a check' },
  { text: /\b(test|it|describe|suite)\.only\(|\bonly: true/, example: 'test.only(', instead: 'run one file' },
  {
    text: /\b(test|it|describe|suite|t)\.(skip|todo)\(|[{,]\s*(skip|todo):/,
    example: "test('x', { skip: true }",
    instead: 'needsTool of test/support/tools.ts, which does not skip in CI',
    only: /\.test\.ts$/,
  },
  {
    text: /\b0\.0\.0\.0\b/,
    example: "listen('0.0.0.0')",
    instead: '127.0.0.1: nothing here listens to the world',
    only: /^(local|examples)\//,
    // A container's own addresses; they are published on 127.0.0.1.
    except: ['local/kafka/properties.ts', 'local/kafka/find-runtime.ts', 'local/kafka/runtime.ts'],
  },
  {
    text: /\bconsole\.log\(/,
    example: "console.log('x')",
    instead: 'process.stdout.write for results, the log for the rest',
    only: /^(agent|functions|shared|cli)\/(?!.*\.test\.ts$)/,
  },
]

for (const { text, example, instead, except = [], only = /./ } of BANNED) {
  test(`no file has ${example}: ${instead}`, () => {
    assert.match(example, text)
    const files = FILES.filter((file) => file !== 'test/tidy.test.ts' && !except.includes(file) && only.test(file))
    assert.deepEqual(
      files.flatMap((file) => linesWith(file, text)),
      [],
    )
  })
}

test('every page has one title', () => {
  const wrong = PAGES.filter((page) => titles(readFileSync(page, 'utf8')) !== 1)
  assert.deepEqual(wrong, [])
})

test('every relative link of a page leads to a file', () => {
  assert.deepEqual(PAGES.flatMap(brokenLinks), [])
})

test('file names are kebab-case', () => {
  assert.deepEqual(
    FILES.filter((file) => !/^([a-z0-9-]+\/)*[a-z0-9-]+(\.[a-z0-9-]+)*$/.test(file)),
    [],
  )
})

function linesWith(file: string, text: RegExp): string[] {
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.flatMap((line, i) => (text.test(line) ? [`${file}:${i + 1}: ${line.trim()}`] : []))
}

function titles(page: string): number {
  return page.replaceAll(/^```[^]*?^```/gm, '').match(/^# /gm)?.length ?? 0
}

function brokenLinks(page: string): string[] {
  const links = [...readFileSync(page, 'utf8').matchAll(/\]\(([^)#:\s]+)(#[^)]*)?\)/g)].map((match) => match[1] ?? '')
  const base = new URL(page, `file://${process.cwd()}/`)
  return links.filter((link) => !existsSync(new URL(link, base))).map((link) => `${page}: ${link}`)
}
