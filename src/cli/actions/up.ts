/**
 * Makes the cluster as the file says.
 */
import { bringUp } from '../../build/up.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { openClusterSession } from '../session/cluster-session.ts'
import { serviceToRun } from '../session/local-service.ts'
import { reportSteps } from '../session/report-steps.ts'
import { planJson, problemLines } from '../text/cluster-plan.ts'

/** @throws CONFIG_MISSING, CONFIG_INVALID, REPOSITORY_LOCKED, the first problem found, what a step throws */
export async function run(context: CommandContext): Promise<CommandResult> {
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
