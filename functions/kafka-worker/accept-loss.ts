import { UserError } from '../../shared/errors.ts'

/** The offsets at which partitions go on although records were lost, by `topic/partition`. */
export type AcceptLoss = ReadonlyMap<string, number>

/**
 * Reads `TOPIC/PARTITION@OFFSET`, several separated by commas: the offsets at which partitions go on that were stopped because
 * records are gone. By `topic/partition`. @throws UserError
 */
export function parseAcceptLoss(text: string | undefined): AcceptLoss {
  if (text === undefined) return new Map()
  const entries = text.split(',').map((part) => {
    const found = /^([A-Za-z0-9._-]+\/\d+)@(\d{1,15})$/.exec(part.trim())
    if (!found) {
      throw new UserError(
        `--accept-loss ${text}: ${part} is not TOPIC/PARTITION@OFFSET`,
        'name the partition and the offset to go on at, as in visits/3@1200',
      )
    }
    return [found[1] ?? '', Number(found[2])] as const
  })
  return new Map(entries)
}
