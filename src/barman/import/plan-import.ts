/**
 * Decides what is to be done with each backup of a Barman server. Pure.
 */
import type { BackupId, BackupInfo } from '../../repository/backup-info.ts'
import { parseBackupId } from '../../repository/backup-info.ts'
import type { BackupOrigin } from './backup-facts.ts'
import type { BackupData } from './backup-source.ts'
import type { BarmanBackup } from './barman-backup.ts'

/** A backup that was looked at: with everything an import needs, or why it cannot be imported. */
export type LookedBackup =
  | {
      readonly id: string
      readonly backup: BarmanBackup
      readonly data: BackupData
      readonly facts: BackupOrigin
    }
  | { readonly id: string; readonly why: string }

/** What an import needs to know of one backup. */
export interface ImportableBackup {
  readonly id: BackupId
  readonly backup: BarmanBackup
  readonly data: BackupData
  readonly facts: BackupOrigin
}

/**
 * `wait`: cannot be imported yet; `refuse`: something is in the way; `skip`: there is nothing to
 * import.
 */
export type PlannedBackup =
  | ({ readonly action: 'import' } & ImportableBackup)
  | { readonly action: 'present'; readonly id: BackupId; readonly backup: BarmanBackup }
  | { readonly action: 'wait' | 'refuse' | 'skip'; readonly id: string; readonly because: string }

/** What the plan is made with. */
export interface ImportSurroundings {
  /** The cluster's in the repository, or what it is going to be; undefined when nothing says it. */
  readonly systemIdentifier: string | undefined
  /** Backups the repository holds. */
  readonly held: readonly BackupInfo[]
  /** The id a backup would get now. */
  readonly presentId: string
}

const OLDEST_MAJOR = 11

/** One decision for each backup, in their order. */
export function planImport(
  looked: readonly LookedBackup[],
  around: ImportSurroundings,
): PlannedBackup[] {
  return looked.map((one) => planOne(one, around))
}

function planOne(one: LookedBackup, around: ImportSurroundings): PlannedBackup {
  if ('why' in one) return { action: 'skip', id: one.id, because: one.why }
  const id = parseBackupId(one.id)
  if (id === undefined) return { action: 'skip', id: one.id, because: 'its name is no id' }
  const { backup, facts } = one
  const held = around.held.find((info) => info.id === id)
  if (held !== undefined) return planHeld(id, backup, held)
  if (facts.major < OLDEST_MAJOR) {
    return { action: 'skip', id, because: `it is of PostgreSQL ${facts.major}; 11 is the oldest` }
  }
  if (facts.systemIdentifier !== around.systemIdentifier) {
    const because = `it is of system identifier ${facts.systemIdentifier}, the others are of ${around.systemIdentifier}`
    return { action: 'refuse', id, because }
  }
  if (id >= around.presentId) {
    const because = `its id is a local time that UTC reaches later, and new backups could not be named before that: run the import again then`
    return { action: 'wait', id, because }
  }
  return { action: 'import', ...one, id }
}

function planHeld(id: BackupId, backup: BarmanBackup, held: BackupInfo): PlannedBackup {
  const isSame = held.startLsn === backup.startLsn && held.stopLsn === backup.stopLsn
  if (isSame) return { action: 'present', id, backup }
  return { action: 'refuse', id, because: 'the repository holds another backup of that id' }
}
