/**
 * `backstay join`: a second operator, or one who has lost his state directory, gets into a cluster.
 */
import { joinCluster } from '../../cluster/state/join.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'
import { askYes } from '../session/ask-yes.ts'
import { openClusterSession } from '../session/cluster-session.ts'

const OPTIONS = {
  yes: { type: 'flag', help: 'Fetch without asking' },
} as const satisfies OptionSpecs

export default defineCommand({
  description: `Fetches identity and passwords from the servers' machines, where up keeps a copy that only root can read, into the state directory here. Needs the cluster file and the ssh way that it names, with a login that is root there or becomes it with sudo. Nothing on the machines is changed.`,
  options: OPTIONS,
  needs: { config: true },
  exits: ['NOT_READY', 'NEEDS_CONFIRMATION', 'POSTGRES_IDENTITY', 'DIRECTORY_OWNER'],
  examples: ['backstay join'],
  run,
})

/** @throws NOT_READY, NEEDS_CONFIRMATION, POSTGRES_IDENTITY, DIRECTORY_OWNER */
async function run(context: CommandContext<typeof OPTIONS>): Promise<CommandResult> {
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
