/**
 * Stops a copy.
 */
import { stopCopy } from '../../restore/opened-copy.ts'
import { closeLeftDoor } from '../../restore/side-door.ts'
import type { ARGUMENTS, OPTIONS } from '../commands/copy-stop.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { withCopy } from './copy-place.ts'

/** @throws {BackstayError} DIRECTORY_FOREIGN, TIMEOUT */
export async function run(
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
