import assert from 'node:assert/strict'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { test, type TestContext } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { createClock, createFaults, createRecorder } from '../faults/index.ts'
import { type SchedulerJob, startScheduler } from './index.ts'

const START_MS = Date.parse('2026-11-23T06:00:30Z')

interface Got {
  headers: IncomingHttpHeaders
  body: string
}

/** A function that answers when the test lets it. */
async function startTarget(t: TestContext) {
  const got: Got[] = []
  const open: (() => void)[] = []
  let hold = false
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (part) => (body += String(part)))
    request.on('end', () => {
      got.push({ headers: request.headers, body })
      if (hold) open.push(() => response.end())
      else response.end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const address = server.address()
  assert.ok(address && typeof address === 'object')
  return { url: `http://127.0.0.1:${address.port}/`, got, open, hold: (on: boolean) => void (hold = on) }
}

async function start(t: TestContext, over: Partial<SchedulerJob> = {}) {
  const target = await startTarget(t)
  const clock = createClock({ frozen: true, startMs: START_MS })
  const faults = createFaults()
  const recorder = createRecorder()
  const job = { name: 'drain', schedule: '* * * * *', url: target.url, body: { mode: 'drain' }, ...over }
  const scheduler = startScheduler({ jobs: [job], clock, faults, recorder })
  t.after(() => scheduler.stop())
  return { ...target, clock, faults, recorder, scheduler }
}

test('a job posts its body with the headers of Cloud Scheduler, at its minute', async (t) => {
  const { clock, got, scheduler } = await start(t)
  clock.advance(29_999)
  assert.equal(got.length, 0)
  clock.advance(1)
  await eventually(() => scheduler.last().length === 1)
  assert.equal(got[0]?.body, '{"mode":"drain"}')
  assert.equal(got[0]?.headers['x-cloudscheduler-jobname'], 'drain')
  assert.equal(got[0]?.headers['x-cloudscheduler-scheduletime'], '2026-11-23T06:01:00.000Z')
  assert.equal(got[0]?.headers['x-cloudscheduler'], 'true')
})

test('a slot that comes while an execution is outstanding is left out', async (t) => {
  const { clock, got, open, hold, scheduler } = await start(t)
  hold(true)
  clock.advance(60_000)
  await eventually(() => open.length === 1)
  clock.advance(60_000)
  clock.advance(60_000)
  hold(false)
  open[0]?.()
  await eventually(() => scheduler.last().length === 1)
  clock.advance(60_000)
  await eventually(() => got.length === 2)
  assert.equal(got[1]?.headers['x-cloudscheduler-scheduletime'], '2026-11-23T06:04:00.000Z')
})

test('an execution that is not answered by its deadline has failed', async (t) => {
  const { hold, scheduler } = await start(t, { attemptDeadlineMs: 50 })
  hold(true)
  const { failure } = await scheduler.runNow('drain')
  assert.match(String(failure), /no answer within 50 ms/)
})

test('runNow runs at once, and waits for the execution before it', async (t) => {
  const { got, open, hold, scheduler } = await start(t)
  hold(true)
  const first = scheduler.runNow('drain')
  const second = scheduler.runNow('drain')
  await eventually(() => open.length === 1)
  assert.equal(got.length, 1)
  hold(false)
  open[0]?.()
  assert.deepEqual([(await first).failure, (await second).failure], [undefined, undefined])
  assert.equal(got.length, 2)
  await assert.rejects(scheduler.runNow('nothing'), /no job nothing/)
})

test('a target that is not there fails the execution, and faults strike by the job name', async (t) => {
  const { faults, recorder, got, scheduler } = await start(t)
  faults.add({ service: 'scheduler', entry: 'drain', fault: { kind: 'drop', when: 'after' } })
  assert.match(String((await scheduler.runNow('drain')).failure), /after the effect/)
  assert.equal(got.length, 1)
  assert.equal(recorder.tallies()[0]?.count, 1)
})

test('a schedule that is none is refused with the job and the fix', () => {
  assert.throws(
    () => startScheduler({ jobs: [{ name: 'x', schedule: '* *', url: '' }] }),
    /Job x: schedule: .*five fields/,
  )
})
