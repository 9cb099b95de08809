/**
 * Stops a copy and removes it.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { releaseHold, removeCopy, stopCopy } from '../../restore/opened-copy.ts'
import type { ARGUMENTS, OPTIONS } from '../commands/copy-remove.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { withCopy } from './copy-place.ts'

/** @throws {BackstayError} DIRECTORY_FOREIGN, NEEDS_CONFIRMATION, TIMEOUT */
export async function run(
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
