/**
 * Makes the cluster as the file says: look, plan, apply, and look again until nothing is left to
 * do.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { applySteps } from './apply.ts'
import { awaitReceiver } from './await-receiver.ts'
import { awaitRecovery, recoveringServers } from './await-recovery.ts'
import type { ClusterContext } from '../cluster/context.ts'
import type { ClusterFound } from '../cluster/found.ts'
import { lockCluster } from '../cluster/lock.ts'
import { lookCluster } from '../cluster/look/look.ts'
import { noteMade } from './made/note-made.ts'
import { noteLeader } from '../cluster/leader-note.ts'
import { refuseUnfinished } from '../cluster/journal.ts'
import { makePlan, type Plan } from './plan/plan.ts'
import { errorOf, type Problem } from '../cluster/problem.ts'
import type { Step } from './plan/step.ts'

/**
 * A stopped server shows its roles and slots only once it runs, so one round is seldom enough; this
 * many always are.
 */
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
 * @throws the first problem that forbids everything, before anything is changed; REPOSITORY_LOCKED
 * when another `up` works on the cluster; UNFINISHED when a change of roles is half-way; what a
 * step throws.
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
  const settled = await settle(context, except)
  if (settled.done.length === 0) return settled
  const { hasCome, problem } = await awaitReceiver(context, settled.found, settled.primary)
  if (problem !== undefined) return { ...settled, problems: [...settled.problems, problem] }
  if (!hasCome) return settled
  const again = await settle(context, except)
  return { ...again, done: [...settled.done, ...again.done] }
}

async function settle(context: ClusterContext, except: readonly string[]): Promise<UpResult> {
  const done: Step[] = []
  for (let round = 1; ; round += 1) {
    const { plan, found } = await planRecovered(context)
    const blockers = plan.problems.filter((problem) => problem.severity === 'error')
    if (blockers.length > 0) throw errorOf(blockers)
    const { problems, primary } = plan
    const steps = plan.steps.filter(({ server }) => !except.includes(server ?? ''))
    if (steps.length === 0) {
      await noteLeader(context, found)
      await noteMade(context)
      return { done, problems, primary, found }
    }
    if (round > ROUNDS_MAX) throw notSettled(steps)
    await noteMade(context)
    const now = stepsOfRound({ ...plan, steps }, found)
    await applySteps(context, now)
    done.push(...now)
  }
}

/**
 * A server that was restored into its place is waited for: before that it is no primary, and
 * nothing else is either.
 */
async function planRecovered(context: ClusterContext): ReturnType<typeof planCluster> {
  const planned = await planCluster(context)
  const recovering = recoveringServers(planned.found)
  if (recovering.length === 0) return planned
  for (const { name } of recovering) await awaitRecovery(context, name)
  return await planCluster(context)
}

/**
 * What this round does. Roles and slots of a primary that does not answer are not known: it is made
 * to answer first, and what others need of it is planned anew.
 */
function stepsOfRound(plan: Plan, found: ClusterFound): readonly Step[] {
  const primary = found.servers.find(({ name }) => name === plan.primary)
  if (primary?.sql !== undefined || primary?.directory.state !== 'data') return plan.steps
  const until = stepsUntil(plan.steps, primary.name)
  return until.length === 0 ? plan.steps : until
}

/** The last step of a server and all before it; empty when it has none. Pure. */
export function stepsUntil(steps: readonly Step[], name: string): readonly Step[] {
  return steps.slice(0, steps.findLastIndex(({ server }) => server === name) + 1)
}

function notSettled(steps: readonly Step[]): BackstayError {
  const titles = steps.map((step) => `${step.server ?? 'here'}: ${step.title}`)
  return new BackstayError(
    'FAILED',
    `The cluster is not as the file says after ${ROUNDS_MAX} rounds; still to do: ${titles.join('; ')}`,
    { hint: 'Something changes it back: look for another program that manages these servers.' },
  )
}
