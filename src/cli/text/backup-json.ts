/**
 * A backup as commands print it.
 */
import type { BackupDamage } from '../../backup/known-damage.ts'
import { formatLsn } from '../../postgres/lsn.ts'
import type { BackupInfo, CataloguedBackup } from '../../repository/backup-info.ts'
import type { RecoverableWindow } from '../../wal/continuity.ts'
import type { WalPosition } from '../../wal/wal-position.ts'

/**
 * For --json: what backup.json says, LSNs as text, and from where to where it can be rolled
 * forward.
 */
export function backupJson(
  { info, keep }: CataloguedBackup,
  window: RecoverableWindow | undefined,
): object {
  const { startLsn, stopLsn, packs, ...rest } = info
  return {
    ...rest,
    startLsn: formatLsn(startLsn),
    stopLsn: formatLsn(stopLsn),
    packs: packs.length,
    keep: keep ?? null,
    recoverable:
      window === undefined
        ? null
        : { from: positionJson(window.from), to: positionJson(window.to) },
  }
}

/** For --json: what is known to be damaged in a backup, or null. */
export function damageJson(damage: BackupDamage | undefined): object {
  return {
    damage: damage === undefined ? null : { proved: damage.isProved, because: damage.because },
  }
}

/** A WAL position for --json. */
function positionJson({ timeline, lsn }: WalPosition): object {
  return { timeline, lsn: formatLsn(lsn) }
}

/** `20261122T084545 (changed pages, 2.9 GB)` */
export function describeBackup(info: BackupInfo): string {
  return `${info.id} (${info.type === 'full' ? 'full' : 'changed pages'}, PostgreSQL ${info.postgres.major})`
}
