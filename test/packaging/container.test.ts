import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseAllDocuments } from 'yaml'
import manifest from '../../package.json' with { type: 'json' }
import { parseConfig } from '../../shared/config/index.ts'

// What can be said of the image without a Docker daemon: its build's commands, run on what its build would see.

const ROOT = join(import.meta.dirname, '..', '..')
const CONTAINER = join(ROOT, 'infra', 'packages', 'container')
const dockerfile = readFileSync(join(CONTAINER, 'Dockerfile'), 'utf8').replaceAll('\\\n', '')
const instructions = (name: string) =>
  dockerfile.split('\n').flatMap((line) => (line.startsWith(`${name} `) ? line.slice(name.length + 1) : []))

test('the image has the Node that package.json pins', () => {
  const images = instructions('FROM').map((from) => from.split(' ')[0])
  assert.deepEqual(new Set(images), new Set([`node:${manifest.devDependencies.node}-bookworm-slim`]))
})

test('what the image is built from is all that its build needs', (t) => {
  const context = mkdtempSync(join(tmpdir(), 'millrace-context-'))
  t.after(() => rmSync(context, { recursive: true }))
  const ignored = readFileSync(join(CONTAINER, 'Dockerfile.dockerignore'), 'utf8').trim().split('\n')
  assert.deepEqual(
    ignored.filter((line) => !line.startsWith('!')),
    ['*', '**/*.test.ts', '**/testdata'],
  )
  const seen = ignored.flatMap((line) => (line.startsWith('!') ? line.slice(1) : []))
  const copied = instructions('COPY').flatMap((copy) => (copy.startsWith('--') ? [] : copy.split(' ').slice(0, -1)))
  assert.deepEqual(copied.toSorted(), seen.toSorted())
  for (const path of copied) {
    cpSync(join(ROOT, path), join(context, path), {
      recursive: true,
      filter: (file) => !/\.test\.ts$|\/testdata$/.test(file),
    })
  }
  symlinkSync(join(ROOT, 'node_modules'), join(context, 'node_modules')) // in the place of npm ci
  const build = instructions('RUN').find((run) => run.includes('build-agent'))
  assert.ok(build)
  execFileSync('sh', ['-ec', build], { cwd: context, env: { ...process.env, MILLRACE_COMMIT: 'abc123' } })

  const program = instructions('ENTRYPOINT').map((entry) => (JSON.parse(entry) as string[])[1]!)[0]!
  const bundle = join(context, 'dist', 'packages', program.replace('/usr/lib/millrace/', ''))
  assert.ok(existsSync(join(context, 'dist', 'state')) && existsSync(join(context, 'dist', 'packages', 'crc32.node')))
  const version = execFileSync(process.execPath, [bundle, '--version'], { encoding: 'utf8' })
  assert.equal(version, `millrace ${manifest.version} (commit abc123)\n`)
})

interface Container {
  readonly image: string
  readonly env: readonly { readonly name: string }[]
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[]
}

interface Volume {
  readonly name: string
  readonly hostPath?: { readonly path: string }
}

test('the DaemonSet: its configuration is valid, its mounts are there, its lock file stays with the node', () => {
  const text = readFileSync(join(CONTAINER, 'daemonset.yaml'), 'utf8')
  const [map, set] = parseAllDocuments(text).map((document) => document.toJS() as unknown) as [
    { readonly data: Readonly<Record<string, string>> },
    { readonly spec: { readonly template: { readonly spec: { containers: [Container]; volumes: Volume[] } } } },
  ]
  const { containers, volumes } = set.spec.template.spec
  const [{ image, env, volumeMounts }] = containers
  assert.equal(image, `millrace-agent:${manifest.version}`)
  assert.deepEqual(new Set(volumeMounts.map(({ name }) => name)), new Set(volumes.map(({ name }) => name)))

  const [, state = ''] = /STATE_DIRECTORY=(\S+)/.exec(instructions('ENV').join()) ?? []
  const environment = { MILLRACE_AGENT_ID: 'node-1', STATE_DIRECTORY: state }
  const { agent, kafka } = parseConfig(map.data['millrace.yaml']!, '/etc/millrace/millrace.yaml', environment)
  assert.equal(agent.lock_file, join(state, 'millrace-node-1.lock'))
  assert.deepEqual(
    env.map(({ name }) => name),
    ['MILLRACE_AGENT_ID', kafka?.sasl?.password && 'env' in kafka.sasl.password && kafka.sasl.password.env],
  )
  const mountOf = (file: string) => volumeMounts.find(({ mountPath }) => file.startsWith(`${mountPath}/`))?.name
  const onHost = (file: string) => volumes.find(({ name }) => name === mountOf(file))?.hostPath?.path
  assert.equal(onHost(agent.lock_file), state)
  for (const { path } of agent.logs) assert.equal(onHost(path), '/var/log/apps')
})
