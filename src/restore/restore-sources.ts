/**
 * What a restore is planned from.
 */
import type { KnownDamage } from '../backup/known-damage.ts'
import type { BackupInfo } from '../repository/backup-info.ts'
import type { ContinuityMap } from '../wal/continuity.ts'
import type { ProductionLines } from '../wal/production-line.ts'
import type { WalReading } from './record-search.ts'

/** Everything known of a cluster's backups and WAL. */
export interface RestoreSources {
  /** For messages. */
  readonly cluster: string
  readonly backups: readonly BackupInfo[]
  readonly map: ContinuityMap
  readonly wal: WalReading
  /**
   * Everything that was committed before this moment is known to be held; undefined when nobody
   * knows.
   */
  readonly currentAtUs: bigint | undefined
  /** The timeline that is known of; left out: whichever is followed. */
  readonly currentTimeline?: number | undefined
  /**
   * Looks for what the map does not know of in WAL that a plan needs; undefined when there is
   * nothing. Left out: all is known.
   */
  readonly examine?: (names: readonly string[]) => Promise<RestoreSources | undefined>
  /** What is known to be damaged; left out: nothing. */
  readonly damage?: KnownDamage
  /** Where production is; left out: the timeline with the highest number is taken for it. */
  readonly lines?: ProductionLines
}
