import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { eventually } from './eventually.ts'
import { needsTool } from './tools.ts'

/**
 * A host of its own for a test: this machine's files below a layer that is forgotten, a systemd of its own as first process, and
 * this machine's network. What is installed, configured and started there leaves no trace here.
 */
export interface BootedHost {
  /** Runs a command there as root; resolves with what it wrote to both outputs. Rejects when it fails. */
  run(command: string, ...args: string[]): Promise<string>
}

const BOOT = join(import.meta.dirname, 'boot-host.sh')
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024

/**
 * Boots a host, or skips the test where that cannot be done (it takes root, Linux's namespaces and systemd).
 * @param folders what both see: the path here, and the path there
 */
export async function bootHost(
  t: TestContext,
  folders: Readonly<Record<string, string>>,
): Promise<BootedHost | undefined> {
  if (!needsTool(t, 'root with systemd and namespaces', canBoot())) return undefined
  const room = mkdtempSync(join(tmpdir(), 'millrace-host-'))
  const cgroup = join(cgroupMount()!, `millrace-host-${process.pid}-${Date.now()}`)
  mkdirSync(cgroup)
  const namespaces = ['--pid', '--mount', '--uts', '--ipc', '--cgroup', '--fork', '--kill-child']
  const boot = ['unshare', ...namespaces, BOOT, room, ...Object.entries(folders).flat()]
  const child = spawn('sh', ['-c', `echo $$ > "$0/cgroup.procs" && exec "$@"`, cgroup, ...boot], { stdio: 'pipe' })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece: Buffer) => (output += piece.toString()))
  const ended = once(child, 'exit')
  t.after(async () => {
    child.kill('SIGKILL')
    await ended
    await eventually(() => (removeCgroup(cgroup), true))
    rmSync(room, { recursive: true })
  })
  const run = async (command: string, ...args: string[]) => {
    const enter = ['--target', firstProcess(child.pid!), '--all', command, ...args]
    const { stdout, stderr } = await promisify(execFile)('nsenter', enter, { maxBuffer: OUTPUT_BYTES_MAX })
    return stdout + stderr
  }
  await eventually(() => run('systemctl', 'is-active', '--quiet', 'millrace-host.target').then(() => true), {
    what: 'the host is up',
  }).catch((error: unknown) => {
    throw new Error(output, { cause: error })
  })
  return { run }
}

function canBoot(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false
  if (!globSync('/lib/systemd/systemd').length || !cgroupMount()) return false
  return spawnSync('unshare', ['--pid', '--mount', '--cgroup', '--fork', 'mount', '--make-rprivate', '/']).status === 0
}

/** Where cgroups of the second version are mounted: beside those of the first, or alone; proc_pid_mountinfo(5). */
function cgroupMount(): string | undefined {
  const mount = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .find((line) => line.includes(' - cgroup2 '))
  return mount?.split(' ')[4]
}

/** The host's first process, as this machine numbers it. */
function firstProcess(unshare: number): string {
  return readFileSync(`/proc/${unshare}/task/${unshare}/children`, 'utf8').trim()
}

function removeCgroup(folder: string): void {
  for (const inner of globSync(`${folder}/**/`).sort().reverse()) rmdirSync(inner)
}
