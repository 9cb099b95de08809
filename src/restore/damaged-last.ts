/**
 * A restore that may choose takes no backup that is known to be damaged while there is another:
 * recovery comes to the same end, from an older beginning. Pure.
 */
import { describeDamage, type KnownDamage } from '../backup/known-damage.ts'
import type { BackupInfo } from '../repository/backup-info.ts'

/** The same backups in the same order, those that are proved to be damaged last. */
export function damagedLast(
  backups: readonly BackupInfo[],
  damage: KnownDamage | undefined,
): readonly BackupInfo[] {
  const isDamaged = ({ id }: BackupInfo): boolean => damage?.get(id)?.isProved === true
  return [...backups.filter((backup) => !isDamaged(backup)), ...backups.filter(isDamaged)]
}

/**
 * What is said of each that would have been taken before `chosen`.
 * @param newestFirst all there are
 */
export function notesOnPassedOver(
  chosen: BackupInfo,
  newestFirst: readonly BackupInfo[],
  damage: KnownDamage | undefined,
): readonly string[] {
  if (damage?.get(chosen.id)?.isProved === true) return []
  const newer = newestFirst.slice(
    0,
    newestFirst.findIndex(({ id }) => id === chosen.id),
  )
  return newer.flatMap(({ id }) => {
    const known = damage?.get(id)
    if (known?.isProved !== true) return []
    return [`Passed over: ${describeDamage(id, known)}`]
  })
}
