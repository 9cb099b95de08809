/**
 * Joins a cluster.
 */
import { joinCluster } from '../../cluster/state/join.ts'
import type { OPTIONS } from '../commands/join.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { openClusterSession } from '../session/cluster-session.ts'
import { askYes } from './ask-yes.ts'

/** @throws NOT_READY, NEEDS_CONFIRMATION, POSTGRES_IDENTITY, DIRECTORY_OWNER */
export async function run(context: CommandContext<typeof OPTIONS>): Promise<CommandResult> {
  await using session = await openClusterSession(context)
  const result = await joinCluster(session.cluster, {
    confirm: async (question) => context.options.yes || (await askYes(context, question)),
  })
  const { name } = session.wanted
  return {
    data: { cluster: name, ...result },
    text: () =>
      [
        ...result.notes.map((note) => `note: ${note}`),
        result.roles.length === 0
          ? 'nothing to do: everything is known here'
          : `This machine knows cluster "${name}" now. Next: backstay status`,
      ].join('\n'),
  }
}
