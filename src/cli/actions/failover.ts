/**
 * Fails over.
 */
import { failOver, type FailoverResult } from '../../failover/failover.ts'
import type { FailoverPlan } from '../../failover/failover-plan.ts'
import { formatLsn, toLsn } from '../../postgres/lsn.ts'
import type { OPTIONS } from '../commands/failover.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { openClusterSession } from '../session/cluster-session.ts'
import { reportSteps } from '../session/report-steps.ts'
import { problemLines } from '../text/cluster-plan.ts'

type Context = CommandContext<typeof OPTIONS>

/** @throws DATA_LOSS, NOT_READY, UNFINISHED, PRIMARY_MISSING, SPLIT_BRAIN, what a step throws */
export async function run(context: Context): Promise<CommandResult> {
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
