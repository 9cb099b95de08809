/**
 * `backstay delete`: removes one backup and what only it needs.
 */
import { deleteBackup, type DeletionPolicy } from '../../backup/expire.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { type BackupId, parseBackupId } from '../../repository/backup-info.ts'
import { findBackup } from '../../repository/catalogue.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'
import { openOwnedPlace } from '../session/open-owned-place.ts'
import { doneResult } from '../text/expiry-result.ts'
import { ARGUMENTS } from './backup-argument.ts'
import { WAL_PLACE_OPTIONS } from './wal-options.ts'

const OPTIONS = {
  ...WAL_PLACE_OPTIONS,
  yes: { type: 'flag', help: 'Delete it; without this nothing is done' },
} as const satisfies OptionSpecs

export default defineCommand({
  options: OPTIONS,
  arguments: ARGUMENTS,
  exits: ['BACKUP_MISSING', 'BACKUP_NEEDED', 'REPOSITORY_LOCKED', 'NEEDS_CONFIRMATION'],
  examples: ['backstay delete 20261122T084545 --yes'],
  runsOn: 'backup server',
  run,
})

const DEFAULT_MINIMUM = 1

/** @throws {BackstayError} BACKUP_MISSING, BACKUP_NEEDED, NEEDS_CONFIRMATION, REPOSITORY_LOCKED */
async function run(
  context: CommandContext<typeof OPTIONS, typeof ARGUMENTS>,
): Promise<CommandResult> {
  const policy = await policyOf(context)
  const repository = await openOwnedPlace(context)
  const id = await idOf(repository, context.arguments.backup)
  if (!context.options.yes) {
    throw new BackstayError('NEEDS_CONFIRMATION', `Will not delete backup ${id} without --yes`)
  }
  return doneResult(await deleteBackup(repository, id, policy))
}

/**
 * A whole id is taken as it is: a backup whose backup.json is damaged cannot be found otherwise.
 */
async function idOf(repository: ClusterRepository, wanted: string): Promise<BackupId> {
  return parseBackupId(wanted) ?? (await findBackup(repository, wanted)).info.id
}

/** Without the cluster file nothing is known that would let the WAL after a kept backup go. */
async function policyOf(
  context: CommandContext<typeof OPTIONS, typeof ARGUMENTS>,
): Promise<DeletionPolicy> {
  if (context.options.repository !== undefined) return { minimum: DEFAULT_MINIMUM }
  const { wanted } = await context.config()
  return wanted.backup?.retention ?? { minimum: DEFAULT_MINIMUM }
}
