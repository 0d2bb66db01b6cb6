import type { AppendAnswer } from '../answers.ts'

/** What has happened, for one partition. */
export type Event = Readonly<
  /** The group's commit, read in this generation at `now`, and what the topic holds. `offset` -1: there is none; the metadata say `partitions`. */
  | { kind: 'read'; offset: number; metadata: string; start: number; end: number; now: number }
  /** Finalize has answered. */
  | { kind: 'counted'; rows: number }
  | { kind: 'gone' }
  /** The table has answered: the highest Kafka offset in the asked range, or null. */
  | { kind: 'asked'; highest: number | null }
  | { kind: 'created'; stream: string }
  /** Records up to `end` have become this many rows; the piece follows the one before it without a gap. */
  | { kind: 'piece'; id: number; end: number; rows: number; letters: boolean }
  /** The dead letters of a piece are durable. */
  | { kind: 'letters durable'; id: number }
  | { kind: 'answer'; id: number; attempt: number; answer: AppendAnswer['kind'] }
  /** The wait is over. */
  | { kind: 'retry' }
  /** No commit is under way in the group: this partition may add its own to the next. */
  | { kind: 'turn' }
  /** The commit was accepted. (One that was not, or has no answer, ends the membership.) */
  | { kind: 'committed' }
  /** Put what is durable into the log soon, even when no append needs a commit. */
  | { kind: 'checkpoint' }
  /** Finish what is named, commit `clean`, take nothing more. `lost`: the topic does not hold what would be fetched next. */
  | { kind: 'leave'; lost?: boolean }
>

/** What is asked of BigQuery or Kafka; what came of it is told as an event. */
export type Call = Readonly<
  /** End the stream for every writer and count it. */
  | { kind: 'finalize'; stream: string }
  /** Ask the stream's table for the highest Kafka offset in [from, below) ingested at or after `since`. */
  | { kind: 'ask'; stream: string; from: number; below: number; since: number }
  /** Read the commit again. */
  | { kind: 'read' }
  /** `failures`: streams in a row that ended without one durable row; wait longer each time. */
  | { kind: 'create'; failures: number }
  | { kind: 'write letters'; id: number }
  | { kind: 'append'; id: number; attempt: number; stream: string; offset: number }
  /** Everything under way is answered, nothing of it was written: `retry` after a while. */
  | { kind: 'wait' }
>

/** What is to be done, for one partition, in this order. */
export type Effect =
  | Call
  | Readonly<
      /** Fetch from here on; drop what is half built. */
      | { kind: 'fetch'; from: number }
      /** The partition's part of the group's next commit. */
      | { kind: 'commit'; offset: number; metadata: string }
      /** The piece's memory is free: its rows are in the table, or it was given up and will be read again. */
      | { kind: 'release'; id: number; durable: boolean }
      /** Leave the group and join again: the partition is not ours any more. */
      | { kind: 'rejoin' }
      /** Nothing is done for this partition any more, until an operator has decided. */
      | { kind: 'stop'; reason: StopReason; message: string }
      /** The partition is as clean as it can be made: it may be given up. */
      | { kind: 'left' }
      /** A rule of the protocol was used: for metrics, and for the log where RULES says so. */
      | { kind: 'note'; rule: Rule; message: string }
    >

export type StopReason = 'records-lost' | 'topic-replaced' | 'foreign-log' | 'count-between' | 'no-room'

/** DESIGN section 6's rules, as they are met, and which of them are worth a line: what operators will ask about. */
export const RULES = {
  'first-start': 'log',
  'offsets-reset': 'log',
  'loss-accepted': 'log',
  adopted: 'count',
  'table-changed': 'log',
  'taken-over': 'count',
  'expired-asked': 'log',
  'moved-on': 'log',
  surprise: 'log',
  waited: 'count',
  refused: 'count',
  'room-waited': 'count',
  'resent-landed': 'count',
} as const

export type Rule = keyof typeof RULES
