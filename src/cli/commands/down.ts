/**
 * `backstay down`: stops the cluster.
 */
import { destroyCluster } from '../../build/destroy.ts'
import { takeDown } from '../../build/down.ts'
import type { Problem } from '../../cluster/problem.ts'
import { stopBackupService, tryStopBackupService } from '../../fleet/stop-service.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'
import { askYes } from '../session/ask-yes.ts'
import { openClusterSession } from '../session/cluster-session.ts'
import { reportSteps } from '../session/report-steps.ts'
import { problemLines } from '../text/cluster-plan.ts'

const OPTIONS = {
  destroy: { type: 'flag', help: 'Remove the data directories as well' },
  yes: { type: 'flag', help: 'Confirm --destroy, or that a base backup breaks off' },
} as const satisfies OptionSpecs

export default defineCommand({
  description: `Stops the primary first, so that standbys and WAL receiver get everything up to its last record, and the service that up made of backstay serve. A base backup that is being taken breaks off with it: that is asked first. --destroy removes data directories that are provably this cluster’s; archives and the repository stay.`,
  options: OPTIONS,
  needs: { config: true },
  exits: ['NEEDS_CONFIRMATION', 'REPOSITORY_LOCKED'],
  examples: ['backstay down'],
  run,
})

/** @throws NEEDS_CONFIRMATION, REPOSITORY_LOCKED, what a step throws */
async function run(context: CommandContext<typeof OPTIONS>): Promise<CommandResult> {
  const report = reportSteps(context.output.tasks)
  await using session = await openClusterSession(context, { report })
  if (context.options.destroy) return await destroy(context, session)
  const { cluster } = session
  const silent: Problem[] = []
  const down = await takeDown(cluster, {
    stopReceiver: async () => void silent.push(...(await tryStopBackupService(cluster))),
    mayBreakOff: async (backups) =>
      context.options.yes || (await askYes(context, `${backups.join('; ')}. Break off?`)),
  })
  const { stopped } = down
  const problems = [...down.problems, ...silent]
  return {
    data: { cluster: session.wanted.name, stopped, problems },
    text: () =>
      [
        ...problemLines(problems, context.output.colour),
        stopped.length === 0 ? 'nothing runs' : `Stopped ${stopped.join(', ')}`,
      ].join('\n'),
    exitCode: problems.length === 0 ? 0 : 3,
  }
}

async function destroy(
  context: CommandContext<typeof OPTIONS>,
  session: Awaited<ReturnType<typeof openClusterSession>>,
): Promise<CommandResult> {
  const { name } = session.wanted
  const isConfirmed =
    context.options.yes || (await askYes(context, `Remove all data of cluster "${name}" for good?`))
  const { removed, kept } = await destroyCluster(session.cluster, {
    isConfirmed,
    stopReceiver: async () => stopBackupService(session.cluster),
  })
  return {
    data: { cluster: name, removed, kept },
    text: () =>
      [
        ...removed.map((path) => `Removed ${path}`),
        ...kept.map((text) => `Kept ${text}`),
        `Cluster "${name}" is gone`,
      ].join('\n'),
  }
}
