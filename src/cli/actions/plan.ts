/**
 * Shows what `up` would do.
 */
import { planCluster } from '../../build/up.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { openClusterSession } from '../session/cluster-session.ts'
import { planJson, renderPlan } from '../text/cluster-plan.ts'

/** @throws CONFIG_MISSING, CONFIG_INVALID */
export async function run(context: CommandContext): Promise<CommandResult> {
  await using session = await openClusterSession(context)
  const { plan } = await planCluster(session.cluster)
  const hasError = plan.problems.some(({ severity }) => severity === 'error')
  return {
    data: { cluster: session.wanted.name, ...planJson(plan) },
    text: () => renderPlan(plan, context.output.colour),
    exitCode: hasError ? 3 : 0,
  }
}
