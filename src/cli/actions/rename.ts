/**
 * Renames a server.
 */
import { rename } from '../../build/made/rename.ts'
import type { ARGUMENTS, OPTIONS } from '../commands/rename.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { openClusterSession } from '../session/cluster-session.ts'
import { reportSteps } from '../session/report-steps.ts'
import { askYes } from './ask-yes.ts'

/** @throws USAGE, NEEDS_CONFIRMATION, NOT_READY, what a step of `up` throws */
export async function run(
  context: CommandContext<typeof OPTIONS, typeof ARGUMENTS>,
): Promise<CommandResult> {
  const { old: from, new: to } = context.arguments
  const report = reportSteps(context.output.tasks)
  await using session = await openClusterSession(context, { report })
  const removed = await rename(session.cluster, {
    from,
    to,
    confirm: async (question) => context.options.yes || (await askYes(context, question)),
  })
  return {
    data: { cluster: session.wanted.name, from, to, removed },
    text: () =>
      [...removed.map((what) => `Removed ${what}`), `"${from}" is "${to}" now`].join('\n'),
  }
}
