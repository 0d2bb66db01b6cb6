import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { missingEntries } from './complete-lock.js'

test('entries are made for optional packages that are nowhere above the one that wants them', () => {
  const packages = {
    'node_modules/tool': {
      dev: true,
      optionalDependencies: { '@tool/linux-arm64-musl': '1.2.3', '@tool/linux-x64': '1.2.3' },
    },
    'node_modules/@tool/linux-x64': { version: '1.2.3' },
  }
  assert.deepEqual(missingEntries(packages), {
    'node_modules/@tool/linux-arm64-musl': {
      version: '1.2.3',
      cpu: ['arm64'],
      dev: true,
      libc: ['musl'],
      optional: true,
      os: ['linux'],
    },
  })
})

test('package-lock.json is complete: npm ci works on every system', () => {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, object> }
  const missing = Object.keys(missingEntries(packages))
  assert.deepEqual(missing, [], 'run: node local/setup/complete-lock.js')
})
