/**
 * A recoverable window in words and for --json: moments first, for an operator thinks in times;
 * positions beside them.
 */
import { formatLsn } from '../../postgres/lsn.ts'
import { isoTimeUs } from '../../restore/target-time.ts'
import { spellIsoTime, spellTimeUs } from '../../util/local-time.ts'
import type { WalPosition } from '../../wal/wal-position.ts'

/** From where to where, and when that was. */
export interface TimedWindow {
  readonly from: WalPosition
  /** When the backup was finished; ISO 8601. */
  readonly fromTime: string
  readonly to: WalPosition
  /** Of the last transaction before the end; undefined when WAL does not tell. */
  readonly toTimeUs: bigint | undefined
}

/**
 * `2026-11-22 10:00:00+01 (0/4000100, timeline 1) to the last record, about 2026-11-22 10:30:00+01
 * (0/5000000, timeline 1)`
 */
export function spellWindow({ from, fromTime, to, toTimeUs }: TimedWindow): string {
  const about = toTimeUs === undefined ? '' : `, about ${spellTimeUs(wholeSecond(toTimeUs))}`
  return `${spellIsoTime(fromTime)} (${spell(from)}) to the last record${about} (${spell(to)})`
}

/** The same for --json. */
export function windowJson({ from, fromTime, to, toTimeUs }: TimedWindow): object {
  return {
    from: { timeline: from.timeline, lsn: formatLsn(from.lsn), time: fromTime },
    to: {
      timeline: to.timeline,
      lsn: formatLsn(to.lsn),
      time: toTimeUs === undefined ? null : isoTimeUs(toTimeUs),
    },
  }
}

function wholeSecond(timeUs: bigint): bigint {
  return timeUs - (timeUs % 1_000_000n)
}

function spell({ timeline, lsn }: WalPosition): string {
  return `${formatLsn(lsn)}, timeline ${timeline}`
}
