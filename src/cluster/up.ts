/**
 * Makes the cluster as the file says: look, plan, apply, and look again until nothing is left to do.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { applySteps } from './apply.ts'
import type { ClusterContext } from './context.ts'
import type { ClusterFound } from './found.ts'
import { lockCluster } from './lock.ts'
import { lookCluster } from './look/look.ts'
import { noteLeader } from './roles/leader-note.ts'
import { refuseUnfinished } from './roles/journal.ts'
import { makePlan, type Plan } from './plan/plan.ts'
import { errorOf, type Problem } from './plan/problem.ts'
import type { Step } from './plan/step.ts'

/** A stopped server shows its roles and slots only once it runs, so one round is seldom enough; this many always are. */
const ROUNDS_MAX = 6

/** What `up` did and what it left. */
export interface UpResult {
  /** All steps done, in order; empty when there was nothing to do. */
  readonly done: readonly Step[]
  /** Warnings that still hold. */
  readonly problems: readonly Problem[]
  readonly primary: string | undefined
  readonly found: ClusterFound
}

/** What would be done now. Changes nothing. */
export async function planCluster(
  context: ClusterContext,
): Promise<{ readonly plan: Plan; readonly found: ClusterFound }> {
  const found = await lookCluster(context, { forPlan: true })
  return { plan: makePlan(context.wanted, found), found }
}

/**
 * Makes it so. A second call finds nothing to do.
 * @throws the first problem that forbids everything, before anything is changed; REPOSITORY_LOCKED when another `up`
 * works on the cluster; UNFINISHED when a change of roles is half-way; what a step throws.
 */
export async function bringUp(context: ClusterContext): Promise<UpResult> {
  await using lock = await lockCluster(context, 'up')
  void lock
  await refuseUnfinished(context)
  return await bringUpLocked(context)
}

/** The same for a caller who holds the lock. @param except servers whose steps are left out. */
export async function bringUpLocked(
  context: ClusterContext,
  except: readonly string[] = [],
): Promise<UpResult> {
  const done: Step[] = []
  for (let round = 1; ; round += 1) {
    const { plan, found } = await planCluster(context)
    const blockers = plan.problems.filter((problem) => problem.severity === 'error')
    if (blockers.length > 0) throw errorOf(blockers)
    const { problems, primary } = plan
    const steps = plan.steps.filter(({ server }) => !except.includes(server ?? ''))
    if (steps.length === 0) {
      await noteLeader(context, found)
      return { done, problems, primary, found }
    }
    if (round > ROUNDS_MAX) throw notSettled(steps)
    const now = stepsOfRound({ ...plan, steps }, found)
    await applySteps(context, now)
    done.push(...now)
  }
}

/**
 * What this round does. Roles and slots of a primary that does not answer are not known: it is made to answer first,
 * and what others need of it is planned anew.
 */
function stepsOfRound(plan: Plan, found: ClusterFound): readonly Step[] {
  const primary = found.servers.find(({ name }) => name === plan.primary)
  if (primary?.sql !== undefined || primary?.directory.state !== 'data') return plan.steps
  const last = plan.steps.findLastIndex(({ server }) => server === plan.primary)
  return last < 0 ? plan.steps : plan.steps.slice(0, last + 1)
}

function notSettled(steps: readonly Step[]): BackstayError {
  const titles = steps.map((step) => `${step.server ?? 'here'}: ${step.title}`)
  return new BackstayError(
    'FAILED',
    `The cluster is not as the file says after ${ROUNDS_MAX} rounds; still to do: ${titles.join('; ')}`,
    { hint: 'Something changes it back: look for another program that manages these servers.' },
  )
}
