/**
 * Makes a standby anew.
 */
import { recloneStandby } from '../../failover/reclone.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import type { ARGUMENTS, OPTIONS } from '../commands/reclone.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { askYes } from './ask-yes.ts'
import { openClusterSession } from '../session/cluster-session.ts'
import { reportSteps } from '../session/report-steps.ts'

type Context = CommandContext<typeof OPTIONS, typeof ARGUMENTS>

/** @throws USAGE, NEEDS_CONFIRMATION, SPLIT_BRAIN, DIRECTORY_FOREIGN, what `up` throws */
export async function run(context: Context): Promise<CommandResult> {
  const { server } = context.arguments
  const { discardOld, yes } = context.options
  const report = reportSteps(context.output.tasks)
  await using session = await openClusterSession(context, { report })
  if (!session.wanted.servers.some(({ name }) => name === server)) {
    throw new BackstayError('USAGE', `There is no server "${server}" in the cluster file`)
  }
  if (discardOld && !yes && !(await askYes(context, `Remove what "${server}" holds now?`))) {
    throw new BackstayError('NEEDS_CONFIRMATION', `Will not remove the data of "${server}" unasked`)
  }
  const { keptAside } = await recloneStandby(session.cluster, server, { discardOld })
  return {
    data: { server, keptAside },
    text: () =>
      [
        `"${server}" is a new clone and streams`,
        ...keptAside.map((path) => `Kept aside: ${path}`),
      ].join('\n'),
  }
}
