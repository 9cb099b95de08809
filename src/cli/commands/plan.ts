/**
 * `backstay plan`: what up would do.
 */
import { planCluster } from '../../build/up.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'
import { openClusterSession } from '../session/cluster-session.ts'
import { planJson, renderPlan } from '../text/cluster-plan.ts'

const OPTIONS = {} as const satisfies OptionSpecs

export default defineCommand({
  description: `Looks at every server and changes nothing. Steps stand below the server they belong to, with a diff; problems that would stop \`up\` are listed with what to do.`,
  options: OPTIONS,
  needs: { config: true },
  exits: ['CHECK_FAILED'],
  examples: ['backstay plan'],
  run,
})

/** @throws CONFIG_MISSING, CONFIG_INVALID */
async function run(context: CommandContext): Promise<CommandResult> {
  await using session = await openClusterSession(context)
  const { plan } = await planCluster(session.cluster)
  const hasError = plan.problems.some(({ severity }) => severity === 'error')
  return {
    data: { cluster: session.wanted.name, ...planJson(plan) },
    text: () => renderPlan(plan, context.output.colour),
    exitCode: hasError ? 3 : 0,
  }
}
