/**
 * Restarts servers.
 */
import { restartServers } from '../../failover/restart.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import type { ARGUMENTS, OPTIONS } from '../commands/restart.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { openClusterSession } from '../session/cluster-session.ts'
import { reportSteps } from '../session/report-steps.ts'
import { problemLines } from '../text/cluster-plan.ts'

type Context = CommandContext<typeof OPTIONS, typeof ARGUMENTS>

/** @throws USAGE, NOT_READY, PRIMARY_MISSING, UNFINISHED, what a step throws */
export async function run(context: Context): Promise<CommandResult> {
  const { options, output } = context
  const { server } = context.arguments
  if ((server === undefined) !== options.rolling) throw whichOne(server)
  const report = reportSteps(output.tasks)
  await using session = await openClusterSession(context, { report })
  const wish = { server, switchover: options.switchover }
  const { restarted, primary, problems } = await restartServers(session.cluster, wish)
  return {
    data: { cluster: session.wanted.name, restarted, primary, problems },
    text: () =>
      [
        ...problemLines(problems, output.colour),
        `Restarted ${restarted.join(', ')}; "${primary}" is the primary`,
      ].join('\n'),
    exitCode: problems.length === 0 ? 0 : 3,
  }
}

function whichOne(server: string | undefined): BackstayError {
  const why =
    server === undefined
      ? 'name a server, or say --rolling for all of them in turn'
      : `--rolling means all servers, and "${server}" is one`
  return new BackstayError('USAGE', `Cannot restart: ${why}`)
}
