/**
 * `backstay up`: makes the cluster so.
 */
import { bringUp } from '../../build/up.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'
import { openClusterSession } from '../session/cluster-session.ts'
import { serviceToRun } from '../../report/local-service.ts'
import { reportSteps } from '../session/report-steps.ts'
import { planJson, problemLines } from '../text/cluster-plan.ts'

const OPTIONS = {} as const satisfies OptionSpecs

export default defineCommand({
  description: `Builds what is missing and repairs what differs: settings, access lines, roles, slots, standbys. What is yours stays. Where the backup server is this machine, and systemd runs there, root’s up makes a service of backstay serve. Run again after an interruption, it goes on; run again after success, it finds nothing to do.`,
  options: OPTIONS,
  needs: { config: true },
  exits: [
    'PORT_IN_USE',
    'DIRECTORY_FOREIGN',
    'DIRECTORY_OWNER',
    'DISK_SPACE',
    'BINARIES_MISSING',
    'POSTGRES_VERSION',
    'POSTGRES_IDENTITY',
    'POSTGRES_LIMIT',
    'REPOSITORY_LOCKED',
  ],
  examples: ['backstay up'],
  run,
})

/**
 * @throws CONFIG_MISSING, CONFIG_INVALID, REPOSITORY_LOCKED, the first problem found, what a step
 * throws
 */
async function run(context: CommandContext): Promise<CommandResult> {
  const { tasks, colour } = context.output
  await using session = await openClusterSession(context, { report: reportSteps(tasks) })
  const { done, problems, primary, found } = await bringUp(session.cluster)
  const service = await serviceToRun(session.wanted, found.ownService, context.clock)
  const { steps } = planJson({ steps: done, problems })
  return {
    data: { cluster: session.wanted.name, primary, done: steps, problems, service },
    text: () =>
      [
        ...problemLines(problems, colour),
        done.length === 0
          ? 'nothing to do'
          : `Cluster "${session.wanted.name}" is as the file says: ${done.length} steps done`,
        ...service,
      ].join('\n'),
    exitCode: problems.length === 0 ? 0 : 3,
  }
}
