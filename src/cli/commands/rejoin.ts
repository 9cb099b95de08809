/**
 * `backstay rejoin`: a server follows the primary again.
 */
import type { WayBack } from '../../failover/rejoin-course.ts'
import { planRejoin, type RejoinPlan } from '../../failover/rejoin-plan.ts'
import { rejoinServer, type RejoinResult } from '../../failover/rejoin.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'
import { askYes } from '../session/ask-yes.ts'
import { openClusterSession } from '../session/cluster-session.ts'
import { reportSteps } from '../session/report-steps.ts'
import { problemLines } from '../text/cluster-plan.ts'

const ARGUMENTS = [
  { name: 'server', help: 'Name of the server in the cluster file' },
] as const satisfies readonly ArgumentSpec[]

const OPTIONS = {
  plan: { type: 'flag', help: 'Say how it would come back, as far as can be told; change nothing' },
  yes: { type: 'flag', help: 'Stop it without asking when it runs as a second primary' },
} as const satisfies OptionSpecs

export default defineCommand({
  description: `Tries what is cheapest first: go on from where it is, with WAL from the backup server when the primary has it no more; wind it back with pg_rewind; clone it anew. What may hold commits that nobody else has is kept beside it. Run again after an interruption, it goes on.`,
  options: OPTIONS,
  arguments: ARGUMENTS,
  needs: { config: true },
  exits: [
    'PRIMARY_MISSING',
    'SPLIT_BRAIN',
    'DIRECTORY_FOREIGN',
    'UNFINISHED',
    'NEEDS_CONFIRMATION',
    'DISK_SPACE',
    'REPOSITORY_LOCKED',
    'PARTIAL',
  ],
  examples: ['backstay rejoin db1 --plan', 'backstay rejoin db1'],
  run,
})

/**
 * @throws USAGE, NEEDS_CONFIRMATION, PRIMARY_MISSING, SPLIT_BRAIN, DIRECTORY_FOREIGN, UNFINISHED,
 * what a step throws
 */
async function run(
  context: CommandContext<typeof OPTIONS, typeof ARGUMENTS>,
): Promise<CommandResult> {
  const { tasks, colour } = context.output
  await using session = await openClusterSession(context, { report: reportSteps(tasks) })
  if (context.options.plan) {
    return planResult(
      session.wanted.name,
      await planRejoin(session.cluster, context.arguments.server),
    )
  }
  const confirm = async (question: string): Promise<boolean> =>
    context.options.yes || (await askYes(context, question))
  const result = await rejoinServer(session.cluster, context.arguments.server, { confirm })
  return {
    data: { cluster: session.wanted.name, ...result },
    text: () => [...problemLines(result.problems, colour), ...lines(result)].join('\n'),
    exitCode: result.problems.length === 0 ? 0 : 3,
  }
}

const WAYS: Readonly<Record<RejoinResult['way'], string>> = {
  already: 'nothing to do: it streamed already',
  follow: 'it went on from where it was',
  'catch-up': 'it took the WAL it lacked from the backup server',
  rewind: 'it was wound back',
  clone: 'it was cloned anew',
  built: 'it was built anew: there was nothing in its place',
}

const PLANNED_WAYS: Readonly<Record<WayBack, string>> = {
  already: 'nothing to do: it streams',
  follow: 'it would go on from where it is',
  'catch-up': 'it would take the WAL it lacks from the backup server',
  rewind: 'it would be wound back, and what it wrote on its own kept',
  clone: 'it would be cloned anew, and its old directory kept',
  built: 'it would be built: there is nothing in its place',
}

function planResult(cluster: string, plan: RejoinPlan): CommandResult {
  const { server, primary, way, reasons, endedConnections } = plan
  const ended =
    endedConnections === undefined
      ? []
      : [
          `"${server}" runs as a primary; it would be stopped, and ${endedConnections} connections end`,
        ]
  return {
    data: { cluster, planned: true, ...plan, endedConnections: endedConnections ?? null },
    text: () =>
      [
        ...reasons.map((reason) => `note: ${reason}`),
        ...ended,
        `"${server}" would follow "${primary}": ${PLANNED_WAYS[way]}`,
        'Nothing was changed.',
      ].join('\n'),
  }
}

function lines({ server, primary, way, reasons, keptAside }: RejoinResult): string[] {
  return [
    ...reasons.map((reason) => `note: ${reason}`),
    `"${server}" follows "${primary}": ${WAYS[way]}`,
    ...keptAside.map((path) => `Kept aside, it may hold commits that nobody else has: ${path}`),
  ]
}
