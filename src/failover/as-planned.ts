/**
 * A candidate that was stopped to be fed had no lock meanwhile. What the failover was planned on is
 * looked at once more.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { ClusterContext } from '../cluster/context.ts'
import type { ClusterFound } from '../cluster/found.ts'
import { lookCluster } from '../cluster/look/look.ts'
import type { FailoverPlan } from './failover-plan.ts'
import { type Lines, lookLines, relationOf } from './line.ts'

/** Looks. @throws NOT_READY when somebody else changed roles since it was planned. */
export async function requireAsPlanned(context: ClusterContext, plan: FailoverPlan): Promise<void> {
  const found = await lookCluster(context, { forPlan: false })
  const change = changeSince(plan, found, await lookLines(context, found))
  if (change === undefined) return
  throw new BackstayError(
    'NOT_READY',
    `Will not promote "${plan.to.name}": ${change}, somebody else changed roles meanwhile`,
    {
      hint: 'Nobody was promoted. Run backstay status, then backstay failover again: it looks anew.',
    },
  )
}

/** What is not as it was, one sentence without full stop. Pure. */
export function changeSince(
  { to, lines: before }: Pick<FailoverPlan, 'to' | 'lines'>,
  found: ClusterFound,
  lines: Lines,
): string | undefined {
  const serving = found.servers.find(({ sql }) => sql?.inRecovery === false)
  if (serving !== undefined) return `"${serving.name}" is primary`
  const [own, was] = [lines.get(to.name), before.get(to.name)]
  const isSame = own?.timeline === was?.timeline || relationOf(own, was) === 'same'
  if (!isSame) return `it is on timeline ${own?.timeline ?? 'unknown'} now`
  for (const [name, { timeline }] of lines) {
    const known = Math.max(before.get(name)?.timeline ?? 0, own?.timeline ?? 0)
    if (timeline > known) return `"${name}" is on timeline ${timeline}`
  }
  return undefined
}
