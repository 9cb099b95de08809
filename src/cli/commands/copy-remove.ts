/**
 * `backstay copy remove`: stops and removes what `restore --start` opened.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { releaseHold, removeCopy, stopCopy } from '../../restore/opened-copy.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'
import { withCopy } from '../session/copy-place.ts'
import { ARGUMENTS, OPTIONS as PLACE } from './copy-options.ts'

export { ARGUMENTS }

const OPTIONS = {
  ...PLACE,
  yes: { type: 'flag', help: 'Remove it; without this nothing is done' },
} as const satisfies OptionSpecs

export default defineCommand({
  description:
    'What its restore holds of the repository for it, the backup and the WAL after it, is let go.',
  options: OPTIONS,
  arguments: ARGUMENTS,
  exits: ['DIRECTORY_FOREIGN', 'NEEDS_CONFIRMATION', 'TIMEOUT'],
  examples: [
    'backstay copy remove /srv/look --yes',
    'backstay copy remove /srv/look --server db2 --yes',
  ],
  run,
})

/** @throws {BackstayError} DIRECTORY_FOREIGN, NEEDS_CONFIRMATION, TIMEOUT */
async function run(
  context: CommandContext<typeof OPTIONS, typeof ARGUMENTS>,
): Promise<CommandResult> {
  return await withCopy(context, async (host, copy) => {
    const { directory, backup } = copy
    if (!context.options.yes) {
      const text = `Will not remove "${directory}", a copy of backup ${backup}, without --yes`
      throw new BackstayError('NEEDS_CONFIRMATION', text)
    }
    const isStopped = await stopCopy(host, copy, context)
    const isReleased = await releaseHold(host, copy)
    await removeCopy(host, copy)
    return {
      data: { directory, backup, stopped: isStopped, removed: true, released: isReleased },
      text: () => `${isStopped ? 'Stopped and removed' : 'Removed'} "${directory}".\n`,
    }
  })
}
