/**
 * Keeps a backup, or releases it.
 */
import { findBackup, keepBackup, releaseBackup } from '../../repository/catalogue.ts'
import type { ARGUMENTS, OPTIONS } from '../commands/keep.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { openOwnedPlace } from './open-owned-place.ts'

/** @throws {BackstayError} BACKUP_MISSING, REPOSITORY_MISSING, USAGE, CONFIG_MISSING */
export async function run(
  context: CommandContext<typeof OPTIONS, typeof ARGUMENTS>,
): Promise<CommandResult> {
  const { release, reason = null, target } = context.options
  const repository = await openOwnedPlace(context)
  const { id } = (await findBackup(repository, context.arguments.backup)).info
  if (release) {
    const wasKept = await releaseBackup(repository, id)
    const text = wasKept ? `Backup ${id} may expire again.` : `Backup ${id} was not kept.`
    return { data: { id, kept: false, wasKept }, text: () => text }
  }
  await keepBackup(repository, id, { reason, target })
  return {
    data: { id, kept: true, reason, target },
    text: () => `Backup ${id} is kept until \`backstay keep ${id} --release\`.`,
  }
}
