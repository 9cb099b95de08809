/**
 * `backstay keep`: protects a backup from expiring, or ends that.
 */
import { findBackup, keepBackup, releaseBackup } from '../../repository/catalogue.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'
import { openOwnedPlace } from '../session/open-owned-place.ts'
import { ARGUMENTS } from './backup-argument.ts'
import { WAL_PLACE_OPTIONS } from './wal-options.ts'

const OPTIONS = {
  ...WAL_PLACE_OPTIONS,
  release: { type: 'flag', help: 'End keeping it' },
  reason: { type: 'string', value: 'TEXT', help: 'Why it is kept' },
  target: {
    type: 'choice',
    value: 'WHAT',
    choices: ['standalone', 'full'],
    default: 'standalone',
    help: 'What stays with it: standalone, the WAL that makes it consistent; full, all WAL after it',
  },
} as const satisfies OptionSpecs

export default defineCommand({
  options: OPTIONS,
  arguments: ARGUMENTS,
  exits: ['BACKUP_MISSING', 'REPOSITORY_MISSING'],
  examples: [
    'backstay keep latest --reason "before the migration"',
    'backstay keep 20261122T084545 --release',
  ],
  runsOn: 'backup server',
  run,
})

/** @throws {BackstayError} BACKUP_MISSING, REPOSITORY_MISSING, USAGE, CONFIG_MISSING */
async function run(
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
