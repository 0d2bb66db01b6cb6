import { defineConfig } from 'oxlint'

/** A kind of import that some folder must not have. */
interface Ban {
  regex: string
  message: string
}

const room = (name: string): Ban => ({ regex: `^(\\.\\./)+${name}/`, message: `This folder must not import ${name}/.` })
const client = (name: string, owner: string): Ban => ({
  regex: `^${name}(/|$)`,
  message: `Only ${owner} imports this client.`,
})

const KAFKA = client('kafkajs', 'shared/kafka')
const BIGQUERY = client('@google-cloud/bigquery(-storage)?', 'shared/warehouse')
const STORAGE = client('@google-cloud/storage', 'shared/chunks')
const CLIENTS = [KAFKA, BIGQUERY, STORAGE]
const LOCAL = { ...room('local'), message: 'What ships to the cloud or the edge must not import local/.' }
const [AGENT, FUNCTIONS, CLI] = [room('agent'), room('functions'), room('cli')]
const BELOW_SHARED = [AGENT, FUNCTIONS, CLI, LOCAL]
const IO: Ban = {
  regex: '^(node:)?(fs|net|https?|http2|tls|dgram|dns|child_process|worker_threads|cluster|readline|os|timers)(/|$)',
  message: 'This room is pure: it takes bytes and values, and returns them.',
}

const TESTS = ['**/*.test.ts']
/** The doors of the pure rooms to the file system: one file each. */
const READERS = ['shared/schema/load.ts', 'shared/framing/decompressed.ts']

/** Of several overrides that match a file the last one counts, so each names all the bans of its folder. */
const bans = (files: string[], patterns: Ban[], excludeFiles: string[] = []) => ({
  files,
  excludeFiles: [...TESTS, ...excludeFiles],
  rules: { 'no-restricted-imports': ['error', { patterns }] as ['error', { patterns: Ban[] }] },
})

export default defineConfig({
  plugins: ['eslint', 'typescript', 'unicorn', 'oxc', 'import', 'node'],
  options: { typeAware: true, reportUnusedDisableDirectives: 'error' },
  categories: { correctness: 'error' },
  ignorePatterns: ['dist/**', '.millrace/**'],
  rules: {
    'max-lines-per-function': ['error', { max: 70, skipBlankLines: false, skipComments: false }],
    'max-lines': ['error', { max: 500 }],
    'import/no-cycle': 'error',
    'no-var': 'error',
    'prefer-const': 'error',
    eqeqeq: 'error',
    'typescript/no-explicit-any': 'error',
    'typescript/ban-ts-comment': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    'typescript/restrict-template-expressions': 'off',
    'typescript/unbound-method': 'off',
    'unicorn/no-thenable': 'off',
    // What they find here is meant: spread text, preallocated columns, copies to walk while the original changes, JSON in messages.
    'typescript/no-misused-spread': 'off',
    'unicorn/no-new-array': 'off',
    'unicorn/no-useless-spread': 'off',
    'typescript/no-base-to-string': 'off',
    'no-unused-expressions': ['error', { allowTernary: true, allowShortCircuit: true }],
    // The compiler says these.
    'no-unused-vars': 'off',
    'no-unused-private-class-members': 'off',
    'typescript/no-floating-promises': [
      'error',
      {
        allowForKnownSafeCalls: [
          { from: 'package', package: 'node:test', name: ['test', 'it', 'describe', 'suite', 'before', 'after'] },
        ],
      },
    ],
  },
  overrides: [
    bans(['agent/**'], [...CLIENTS, FUNCTIONS, CLI, LOCAL]),
    bans(['functions/**'], [...CLIENTS, AGENT, CLI, LOCAL]),
    bans(['cli/**'], CLIENTS),
    bans(['shared/**'], [...CLIENTS, ...BELOW_SHARED]),
    bans(['shared/kafka/**'], [BIGQUERY, STORAGE, ...BELOW_SHARED]),
    bans(['shared/warehouse/**'], [KAFKA, STORAGE, ...BELOW_SHARED]),
    bans(['shared/chunks/**'], [KAFKA, BIGQUERY, ...BELOW_SHARED]),
    bans(['shared/{schema,codec,framing}/**'], [...CLIENTS, ...BELOW_SHARED, IO], READERS),
    bans(['shared/warehouse/protocol/**', 'shared/chunks/state.ts'], [...CLIENTS, ...BELOW_SHARED, IO]),
    { files: TESTS, rules: { 'max-lines-per-function': 'off' } },
    // The one place where functions are made from source.
    { files: ['shared/codec/compile.ts'], rules: { 'typescript/no-implied-eval': 'off' } },
  ],
})
