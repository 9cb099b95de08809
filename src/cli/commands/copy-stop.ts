/**
 * `backstay copy stop`: stops what `restore --start` opened.
 */
import { stopCopy } from '../../restore/opened-copy.ts'
import { closeLeftDoor } from '../../restore/side-door.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import { withCopy } from '../session/copy-place.ts'
import { ARGUMENTS, OPTIONS } from './copy-options.ts'

export default defineCommand({
  options: OPTIONS,
  arguments: ARGUMENTS,
  exits: ['DIRECTORY_FOREIGN', 'TIMEOUT'],
  examples: ['backstay copy stop /srv/look'],
  run,
})

/** @throws {BackstayError} DIRECTORY_FOREIGN, TIMEOUT */
async function run(
  context: CommandContext<typeof OPTIONS, typeof ARGUMENTS>,
): Promise<CommandResult> {
  return await withCopy(context, async (host, copy) => {
    const isStopped = await stopCopy(host, copy, context)
    const { directory, backup, owner } = copy
    // Whoever starts it next lets nobody in that its own files do not.
    await closeLeftDoor(host, { directory, user: owner })
    return {
      data: { directory, backup, stopped: isStopped },
      text: () => (isStopped ? `Stopped "${directory}".\n` : `"${directory}" does not run.\n`),
    }
  })
}
