/**
 * Looks at the backups of a Barman server before anything is taken in.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import type { ServerIdentity } from '../../repository/cluster-repository.ts'
import { readBackupFacts } from './backup-facts.ts'
import { findData } from './backup-source.ts'
import type { BarmanBackup } from './barman-backup.ts'
import { type BarmanPlace, findBarmanBackups, readBarmanIdentifier } from './barman-place.ts'
import { identityOfWal } from './import-wal.ts'
import type { LookedBackup } from './plan-import.ts'
import type { BarmanWal } from './wal-files.ts'

/**
 * Every backup, oldest first; their data is not read where the metadata says enough.
 * @throws {BackstayError} HOST_PRIVILEGE, FAILED; the signal's reason.
 */
export async function lookAtBackups(
  place: BarmanPlace,
  signal: AbortSignal,
): Promise<LookedBackup[]> {
  const identifier = await readBarmanIdentifier(place)
  const looked: LookedBackup[] = []
  for (const found of await findBarmanBackups(place)) {
    looked.push('why' in found ? found : await lookAt(found.backup, identifier, signal))
  }
  return looked
}

async function lookAt(
  found: BarmanBackup,
  identifier: string | undefined,
  signal: AbortSignal,
): Promise<LookedBackup> {
  signal.throwIfAborted()
  const { id } = found
  const backup = { ...found, systemIdentifier: found.systemIdentifier ?? identifier }
  const data = await findData(backup)
  if (typeof data === 'string') return { id, why: data }
  try {
    return { id, backup, data, facts: await readBackupFacts(backup, data, signal) }
  } catch (error) {
    if (!(error instanceof BackstayError) || signal.aborted) throw error
    return { id, why: error.message }
  }
}

/**
 * Whose WAL and backups these are: what the newest backup says, else the WAL itself; undefined when
 * there is neither.
 */
export async function identityOf(
  looked: readonly LookedBackup[],
  wal: BarmanWal,
  customFilter: string | undefined,
): Promise<ServerIdentity | undefined> {
  const newest = looked.findLast((one) => 'facts' in one)
  if (newest !== undefined && 'facts' in newest) return newest.facts
  return await identityOfWal(wal.files, customFilter)
}
