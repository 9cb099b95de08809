/**
 * `backstay restart`: servers come up again with what is installed and configured now.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { restartServers } from '../../failover/restart.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'
import { openClusterSession } from '../session/cluster-session.ts'
import { reportSteps } from '../session/report-steps.ts'
import { problemLines } from '../text/cluster-plan.ts'

const OPTIONS = {
  rolling: {
    type: 'flag',
    help: 'All servers: the standbys one after the other, then the primary',
  },
  switchover: {
    type: 'flag',
    help: 'A standby takes over instead of the primary being restarted in its place',
  },
} as const satisfies OptionSpecs

const ARGUMENTS = [
  { name: 'server', help: 'The one to restart', optional: true },
] as const satisfies readonly ArgumentSpec[]

export default defineCommand({
  description: `A server goes on running the program it was started with after a package update has replaced it; check says so. Each standby has to stream again before the next server is touched, and nothing is restarted while a standby that should be there is not. Where systemd runs a server it is restarted as that service.`,
  options: OPTIONS,
  arguments: ARGUMENTS,
  needs: { config: true },
  exits: [
    'NOT_READY',
    'PRIMARY_MISSING',
    'UNFINISHED',
    'DISK_SPACE',
    'TIMEOUT',
    'REPOSITORY_LOCKED',
  ],
  examples: [
    'backstay restart db2',
    'backstay restart --rolling',
    'backstay restart --rolling --switchover',
  ],
  run,
})

/** @throws USAGE, NOT_READY, PRIMARY_MISSING, UNFINISHED, what a step throws */
async function run(
  context: CommandContext<typeof OPTIONS, typeof ARGUMENTS>,
): Promise<CommandResult> {
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
