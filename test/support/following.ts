import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { FollowerOptions } from '../../agent/follow/followed.ts'
import { Follower, LogPattern, Scratch } from '../../agent/follow/index.ts'
import { Events, type FramingOptions } from '../../shared/framing/index.ts'

/** A follower of some logs in a folder of its own; each log is a route. */
export function follow(t: TestContext, ...logs: string[]) {
  return followFramed(t, { kind: 'lines', maxEventBytes: 1000 }, ...logs)
}

export function followFramed(t: TestContext, framing: FramingOptions, ...logs: string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-follower-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const reports = new Map<string, string>()
  const options: FollowerOptions = {
    agent: { id: 'a', finish_after: 0 },
    logs: logs.map((path) => ({
      pattern: new LogPattern(join(folder, path)),
      route: path,
      framing,
      complete: false,
    })),
    report: (about, message) => reports.set(about, message),
  }
  const follower = new Follower(options)
  t.after(() => follower.close())
  follower.adopt([], true)
  return { folder, follower, reports, options }
}

/** Reads everything that is there, oldest first, and takes it for published. */
export async function readAll(follower: Follower): Promise<string[]> {
  const workspace = { scratch: new Scratch(), events: new Events() }
  const lines: string[] = []
  for (const followed of follower.rotations().flat()) {
    const { source, file } = followed
    const final = follower.isFinishable(followed, Date.now())
    for (;;) {
      const reading = await source.read(workspace, Infinity, Infinity, final)
      if (reading.kind === 'lost') follower.lose(followed)
      if (reading.kind !== 'piece') {
        source.finished = final && reading.kind === 'drained'
        break
      }
      const { bytes, events } = reading
      for (let i = 0; i < events.count; i++)
        lines.push(bytes.toString('utf8', events.valueStart[i], events.valueEnd[i]))
      source.accept(reading, events.count)
    }
    const size = source.finished ? { size: source.progress.position } : {}
    follower.acknowledge({ source: source.id, ...source.progress, ...size, start: 0, ...file.inode, retired: false })
  }
  return lines
}
