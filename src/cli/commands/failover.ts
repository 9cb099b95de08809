/**
 * `backstay failover`: a standby becomes the primary because the primary is lost.
 */
import type { FailoverPlan } from '../../failover/failover-plan.ts'
import { failOver, type FailoverResult } from '../../failover/failover.ts'
import { formatLsn, toLsn } from '../../postgres/lsn.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'
import { openClusterSession } from '../session/cluster-session.ts'
import { reportSteps } from '../session/report-steps.ts'
import { problemLines } from '../text/cluster-plan.ts'

const OPTIONS = {
  to: {
    type: 'string',
    value: 'SERVER',
    help: 'The standby that takes over (default: the one with most WAL)',
  },
  plan: { type: 'flag', help: 'Say who would take over and what would be lost; change nothing' },
  primaryIsDead: {
    type: 'flag',
    help: 'The old primary cannot be reached, and you have made sure that it is off or cut off',
  },
  allowDataLoss: { type: 'flag', help: 'Accept that acknowledged commits may be lost' },
} as const satisfies OptionSpecs

export default defineCommand({
  description: `Says first what would be lost. WAL of the old primary that anybody still holds (its own disk, other standbys, the backup server) is given to the standby before it is promoted. The old primary is kept from starting as one again. Refuses while the primary answers, and when acknowledged commits could be lost. Run again after an interruption, it goes on.`,
  options: OPTIONS,
  needs: { config: true },
  exits: [
    'DATA_LOSS',
    'NOT_READY',
    'UNFINISHED',
    'PRIMARY_MISSING',
    'SPLIT_BRAIN',
    'REPOSITORY_LOCKED',
    'PARTIAL',
  ],
  examples: ['backstay failover --plan', 'backstay failover --to db2 --primary-is-dead'],
  run,
})

/** @throws DATA_LOSS, NOT_READY, UNFINISHED, PRIMARY_MISSING, SPLIT_BRAIN, what a step throws */
async function run(context: CommandContext<typeof OPTIONS>): Promise<CommandResult> {
  const { tasks, colour } = context.output
  const { to, plan: planOnly, primaryIsDead, allowDataLoss } = context.options
  await using session = await openClusterSession(context, { report: reportSteps(tasks) })
  const wish = { planOnly, primaryIsDead, allowDataLoss }
  const result = await failOver(session.cluster, to === undefined ? wish : { to, ...wish })
  return {
    data: { cluster: session.wanted.name, ...json(result) },
    text: () => [...problemLines(result.problems, colour), ...lines(result)].join('\n'),
    exitCode: result.problems.length === 0 ? 0 : 3,
  }
}

function json({ plan, loss, ...facts }: FailoverResult): object {
  const fencing = plan?.fencing ?? null
  return { ...facts, fencing, candidates: candidatesOf(plan), loss }
}

function candidatesOf(plan: FailoverPlan | undefined): readonly object[] {
  return (plan?.candidates ?? []).map(({ receivedLsn, ...candidate }) => ({
    ...candidate,
    receivedLsn: formatLsn(toLsn(receivedLsn)),
  }))
}

const FENCING: Readonly<Record<FailoverPlan['fencing'], string>> = {
  stopped: 'it does not run; it will be marked to start as a standby',
  hung: 'it runs and does not answer; it will be ended and marked to start as a standby',
  gone: 'its data directory is gone',
  unreachable: 'its host does not answer: it cannot be stopped',
  standby: 'it runs as a standby already, and will follow',
}

function lines(result: FailoverResult): string[] {
  const { plan, loss, from, primary, timeline, isFollowed } = result
  const lost = loss === undefined ? [] : [`Loss: ${loss.text}`]
  if (timeline !== undefined) {
    return [
      ...lost,
      `"${primary}" is the primary now, on timeline ${timeline}`,
      isFollowed
        ? `"${from}" follows it`
        : `"${from}" does not follow yet: backstay rejoin ${from}`,
    ]
  }
  const standbys = (plan?.candidates ?? []).map(({ server, timeline, receivedLsn, obstacles }) => {
    const notes = obstacles.length === 0 ? '' : ` (${obstacles.join('; ')})`
    return `  ${server}: timeline ${timeline}, has WAL up to ${formatLsn(toLsn(receivedLsn))}${notes}`
  })
  return [
    `The primary was "${from}": ${plan === undefined ? 'unknown' : FENCING[plan.fencing]}`,
    'Standbys that answer:',
    ...standbys,
    `"${primary}" would take over`,
    ...lost,
  ]
}
