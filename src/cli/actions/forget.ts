/**
 * Forgets a server, or the backup part.
 */
import { forget } from '../../build/made/forget.ts'
import type { ARGUMENTS, OPTIONS } from '../commands/forget.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { openClusterSession } from '../session/cluster-session.ts'
import { reportSteps } from '../session/report-steps.ts'
import { askYes } from './ask-yes.ts'

/** @throws USAGE, NEEDS_CONFIRMATION, NOT_READY, HOST_UNREACHABLE, POSTGRES_IDENTITY, what stopping throws */
export async function run(
  context: CommandContext<typeof OPTIONS, typeof ARGUMENTS>,
): Promise<CommandResult> {
  const { options, output } = context
  const { server: name } = context.arguments
  const report = reportSteps(output.tasks)
  await using session = await openClusterSession(context, { report })
  const { removed, kept } = await forget(session.cluster, {
    name,
    removesData: options.removeData,
    isLost: options.hostIsLost,
    confirm: async (question) => options.yes || (await askYes(context, question)),
  })
  return {
    data: { cluster: session.wanted.name, server: name, removed, kept },
    text: () =>
      [
        ...removed.map((what) => `Removed ${what}`),
        ...kept.map((what) => `Kept ${what}`),
        `"${name}" is forgotten. backstay up takes it out of settings and access lines`,
      ].join('\n'),
  }
}
