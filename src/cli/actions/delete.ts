/**
 * Deletes one backup.
 */
import { deleteBackup, type DeletionPolicy } from '../../backup/expire.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { type BackupId, parseBackupId } from '../../repository/backup-info.ts'
import { findBackup } from '../../repository/catalogue.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import type { ARGUMENTS, OPTIONS } from '../commands/delete.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { doneResult } from './expiry-result.ts'
import { openOwnedPlace } from './open-owned-place.ts'

type Context = CommandContext<typeof OPTIONS, typeof ARGUMENTS>

const DEFAULT_MINIMUM = 1

/** @throws {BackstayError} BACKUP_MISSING, BACKUP_NEEDED, NEEDS_CONFIRMATION, REPOSITORY_LOCKED */
export async function run(context: Context): Promise<CommandResult> {
  const policy = await policyOf(context)
  const repository = await openOwnedPlace(context)
  const id = await idOf(repository, context.arguments.backup)
  if (!context.options.yes) {
    throw new BackstayError('NEEDS_CONFIRMATION', `Will not delete backup ${id} without --yes`)
  }
  return doneResult(await deleteBackup(repository, id, policy))
}

/** A whole id is taken as it is: a backup whose backup.json is damaged cannot be found otherwise. */
async function idOf(repository: ClusterRepository, wanted: string): Promise<BackupId> {
  return parseBackupId(wanted) ?? (await findBackup(repository, wanted)).info.id
}

/** Without the cluster file nothing is known that would let the WAL after a kept backup go. */
async function policyOf(context: Context): Promise<DeletionPolicy> {
  if (context.options.repository !== undefined) return { minimum: DEFAULT_MINIMUM }
  const { wanted } = await context.config()
  return wanted.backup?.retention ?? { minimum: DEFAULT_MINIMUM }
}
