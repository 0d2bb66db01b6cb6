import type { Effect, Event, StopReason } from './events.ts'
import { type Commit, encodeLog, type Log, positionOfCount, positionOfRow } from './log.ts'

/** Where to go on: everything before `position` is durable, and the stream is closed for everybody. Or why not. */
export type Found =
  | { readonly position: number }
  | { readonly stop: readonly [StopReason, string] }
  /** Somebody else has gone on meanwhile. */
  | 'rejoin'

/** Closes the stream that a commit names and finds out which of its intents have landed (rules 2 and 5): each effect waits for its answer. */
export function* takeOver({ offset, log }: Commit): Generator<readonly Effect[], Found, Event> {
  const stream = log.stream ?? ''
  const closed = yield [{ kind: 'finalize', stream }]
  if (closed.kind === 'counted') {
    const position = positionOfCount(offset, log, closed.rows)
    if (position !== undefined) return { position }
    const message = `${stream} has ${closed.rows} rows, which is at no intent's border`
    const again = yield [{ kind: 'note', rule: 'moved-on', message }, { kind: 'read' }]
    const metadata = encodeLog(log)
    const isSame = again.kind === 'read' && again.offset === offset && again.metadata === metadata
    return isSame
      ? { stop: ['count-between', `the rows of ${stream} end between two intents of ${metadata}`] }
      : 'rejoin'
  }
  const below = log.intents.at(-1)?.[0]
  if (below === undefined) return { position: offset }
  const message = `${stream} is gone: asks its table for offsets from ${offset} below ${below}`
  const asked = yield [
    { kind: 'note', rule: 'expired-asked', message },
    { kind: 'ask', stream, from: offset, below, since: log.created },
  ]
  return { position: positionOfRow(offset, log, asked.kind === 'asked' ? asked.highest : null) }
}

/** Why the partition cannot go on at `position` by itself. */
export function lossAt(
  position: number,
  { intents, lost }: Pick<Log, 'intents' | 'lost'>,
  { start, end }: { readonly start: number; readonly end: number },
): readonly [StopReason, string] | undefined {
  const reach = Math.max(position, intents.at(-1)?.[0] ?? 0)
  if (position < start) return ['records-lost', `offsets ${position} to ${start - 1} are no longer in the topic`]
  if (reach > end) return ['topic-replaced', `the group has been at ${reach}, the topic ends at ${end}`]
  return lost ? ['topic-replaced', `it had stopped at ${position}, and nobody has accepted the loss`] : undefined
}
