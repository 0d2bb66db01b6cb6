/** Where a run's events come from. */
export interface Feed {
  /** How many events were written since the data folder was made: the writer's own tally. */
  written(): Promise<number>
  /** No more are written; the last files can finish. */
  stop(): Promise<void>
}
