import type { AppendAnswer } from '../answers.ts'

/** What has happened, for one partition. */
export type Event =
  /** The group's commit, read in this generation at `now`, what the partition holds, and how many the topic has. `offset` -1: there is none. */
  | {
      readonly kind: 'read'
      readonly offset: number
      readonly metadata: string
      readonly start: number
      readonly end: number
      readonly partitions: number
      readonly now: number
    }
  /** Finalize has answered. */
  | { readonly kind: 'counted'; readonly rows: number }
  | { readonly kind: 'gone' }
  /** The table has answered: the highest Kafka offset in the asked range, or null. */
  | { readonly kind: 'asked'; readonly highest: number | null }
  | { readonly kind: 'created'; readonly stream: string }
  /** Records up to `end` have become this many rows; the piece follows the one before it without a gap. */
  | {
      readonly kind: 'piece'
      readonly id: number
      readonly end: number
      readonly rows: number
      readonly letters: boolean
    }
  /** The dead letters of a piece are durable. */
  | { readonly kind: 'letters durable'; readonly id: number }
  | { readonly kind: 'answer'; readonly id: number; readonly attempt: number; readonly answer: AppendAnswer['kind'] }
  /** The wait is over. */
  | { readonly kind: 'retry' }
  /** No commit is under way in the group: this partition may add its own to the next. */
  | { readonly kind: 'turn' }
  /** The commit was accepted. (One that was not, or has no answer, ends the membership.) */
  | { readonly kind: 'committed' }
  /** Put what is durable into the log soon, even when no append needs a commit. */
  | { readonly kind: 'checkpoint' }
  /** Finish what is named, commit `clean`, take nothing more. `lost`: the topic does not hold what would be fetched next. */
  | { readonly kind: 'leave'; readonly lost?: boolean }

/** What is asked of BigQuery or Kafka; what came of it is told as an event. */
export type Call =
  /** End the stream for every writer and count it. */
  | { readonly kind: 'finalize'; readonly stream: string }
  /** Ask the stream's table for the highest Kafka offset in [from, below) ingested at or after `since`. */
  | {
      readonly kind: 'ask'
      readonly stream: string
      readonly from: number
      readonly below: number
      readonly since: number
    }
  /** Read the commit again. */
  | { readonly kind: 'read' }
  /** `failures`: streams in a row that ended without one durable row; wait longer each time. */
  | { readonly kind: 'create'; readonly failures: number }
  | { readonly kind: 'write letters'; readonly id: number }
  | {
      readonly kind: 'append'
      readonly id: number
      readonly attempt: number
      readonly stream: string
      readonly offset: number
    }
  /** Everything under way is answered, nothing of it was written: `retry` after a while. */
  | { readonly kind: 'wait' }

/** What is to be done, for one partition, in this order. */
export type Effect =
  | Call
  /** Fetch from here on; drop what is half built. */
  | { readonly kind: 'fetch'; readonly from: number }
  /** The partition's part of the group's next commit. */
  | { readonly kind: 'commit'; readonly offset: number; readonly metadata: string }
  /** The piece's memory is free: its rows are in the table, or it was given up and will be read again. */
  | { readonly kind: 'release'; readonly id: number; readonly durable: boolean }
  /** Leave the group and join again: the partition is not ours any more. */
  | { readonly kind: 'rejoin' }
  /** Nothing is done for this partition any more, until an operator has decided. */
  | { readonly kind: 'stop'; readonly reason: StopReason; readonly message: string }
  /** The partition is as clean as it can be made: it may be given up. */
  | { readonly kind: 'left' }
  /** A rule of the protocol was used: for metrics, and for the log when it is rare. */
  | { readonly kind: 'note'; readonly rule: Rule; readonly message: string }

export type StopReason = 'records-lost' | 'topic-replaced' | 'foreign-log' | 'count-between' | 'no-room'

/** DESIGN section 6's rules, as they are met. */
export type Rule =
  | 'first-start'
  | 'offsets-reset'
  | 'loss-accepted'
  | 'adopted'
  | 'table-changed'
  | 'taken-over'
  | 'expired-asked'
  | 'moved-on'
  | 'surprise'
  | 'waited'
  | 'refused'
  | 'room-waited'
  | 'resent-landed'
