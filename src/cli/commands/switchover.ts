/**
 * `backstay switchover`: another server becomes the primary, in order.
 */
import { switchOver, type SwitchoverResult } from '../../failover/switchover.ts'
import { formatDuration } from '../../util/duration.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'
import { openClusterSession } from '../session/cluster-session.ts'
import { reportSteps } from '../session/report-steps.ts'
import { problemLines } from '../text/cluster-plan.ts'

const OPTIONS = {
  to: { type: 'string', value: 'SERVER', help: 'The standby that takes over (default: the best)' },
  plan: { type: 'flag', help: 'Say what would be done, step by step; change nothing' },
  targetIsDead: {
    type: 'flag',
    help: 'Of an interrupted one: the standby is lost for good (off or cut off); the old primary serves again',
  },
  allowDataLoss: {
    type: 'flag',
    help: 'With --target-is-dead: also give up what it is known to have committed as the primary',
  },
} as const satisfies OptionSpecs

export default defineCommand({
  description: `The primary shuts down, the standby is proved to have all of its WAL and is promoted, the old primary and the other standbys follow it. When a step fails the old primary serves again. Run again after an interruption, it finishes or undoes.`,
  options: OPTIONS,
  needs: { config: true },
  exits: [
    'NOT_READY',
    'DATA_LOSS',
    'UNFINISHED',
    'PRIMARY_MISSING',
    'SPLIT_BRAIN',
    'TIMEOUT',
    'HOST_UNREACHABLE',
    'REPOSITORY_LOCKED',
    'PARTIAL',
  ],
  examples: [
    'backstay switchover',
    'backstay switchover --to db2 --plan',
    'backstay switchover --to db2',
    'backstay switchover --target-is-dead',
  ],
  run,
})

/** @throws NOT_READY, UNFINISHED, PRIMARY_MISSING, SPLIT_BRAIN, what a step throws */
async function run(context: CommandContext<typeof OPTIONS>): Promise<CommandResult> {
  const { tasks, colour } = context.output
  const { to, plan: planOnly, targetIsDead, allowDataLoss } = context.options
  const wish = { planOnly, givingUp: { targetIsDead, allowDataLoss } }
  await using session = await openClusterSession(context, { report: reportSteps(tasks) })
  const result = await switchOver(session.cluster, to === undefined ? wish : { to, ...wish })
  const { proof, ...facts } = result
  const isProved = proof?.isProved ?? true
  return {
    data: { cluster: session.wanted.name, ...facts, isProved: proof?.isProved ?? null },
    text: () => [...problemLines(result.problems, colour), ...lines(result)].join('\n'),
    exitCode: isProved && result.problems.length === 0 ? 0 : 3,
  }
}

function lines(result: SwitchoverResult): string[] {
  const { outcome, from, primary, timeline, refusedMs, proof, steps = [] } = result
  if (outcome === 'planned') {
    return [
      `"${from}" would hand over to "${primary}":`,
      ...steps.map(({ server, title }) => `  ${server}: ${title}`),
      'Nothing was changed.',
    ]
  }
  if (outcome === 'already') return [`nothing to do: "${primary}" is the primary`]
  if (outcome === 'undone') return [`The interrupted switchover is undone: "${primary}" is primary`]
  return [
    `"${primary}" is the primary now, on timeline ${timeline}; "${from}" follows it`,
    ...(refusedMs === undefined ? [] : [`Writes were refused for ${formatDuration(refusedMs)}`]),
    proof?.isProved === true
      ? 'A row written there was read on every standby'
      : 'NOT every standby showed a row written there: see backstay status',
  ]
}
