/**
 * Restarts servers, so that they run what is installed and what is configured: the standbys one
 * after the other, each until it streams again, the primary last.
 */
import { applySteps } from '../build/apply.ts'
import type { ClusterContext } from '../cluster/context.ts'
import { lockCluster } from '../cluster/lock.ts'
import { lookCluster } from '../cluster/look/look.ts'
import { attachStep, type PrimaryOfPlan } from '../build/plan/attach-plan.ts'
import type { Problem } from '../cluster/problem.ts'
import { planRestart, type RestartPlan, type RestartWish } from '../build/plan/restart-plan.ts'
import { type Step, step } from '../build/plan/step.ts'
import { refuseUnfinished } from '../cluster/journal.ts'
import { switchOver } from './switchover.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

/** Which servers were restarted, and who leads since. */
export interface RestartResult {
  /** In order. */
  readonly restarted: readonly string[]
  /** Who is primary now. */
  readonly primary: string
  readonly problems: readonly Problem[]
}

/**
 * Restarts.
 * @throws USAGE, PRIMARY_MISSING, NOT_READY and UNFINISHED before anything is stopped;
 * REPOSITORY_LOCKED; what a step throws: a server that does not come back ends it, and those after
 * it were not touched.
 */
export async function restartServers(
  context: ClusterContext,
  wish: RestartWish,
): Promise<RestartResult> {
  const plan = await restartInPlace(context, wish)
  const { primary, standbys, lead } = plan
  if (lead !== 'switchover') {
    const restarted = [...standbys, ...(lead === 'restart' ? [primary.name] : [])]
    return { restarted, primary: primary.name, problems: [] }
  }
  // The old primary is stopped and started as a standby by it.
  const { primary: now, problems } = await switchOver(context)
  return { restarted: [...standbys, primary.name], primary: now, problems }
}

/** Everything but a switchover, which has a lock of its own. */
async function restartInPlace(context: ClusterContext, wish: RestartWish): Promise<RestartPlan> {
  await using lock = await lockCluster(context, 'restart')
  void lock
  await refuseUnfinished(context)
  const found = await lookCluster(context, { forPlan: false })
  const plan = planRestart(context.wanted, found, wish)
  const primary = { wanted: wantedServer(context.wanted, plan.primary.name), found: undefined }
  for (const name of plan.standbys) {
    await applySteps(context, [restartStep(name), attachStep(name, primary, 'it was restarted')])
  }
  if (plan.lead === 'restart') await restartPrimary(context, primary)
  return plan
}

/** Standbys come back by themselves; it is only over when they have. */
async function restartPrimary(context: ClusterContext, primary: PrimaryOfPlan): Promise<void> {
  const { name } = primary.wanted
  const others = context.wanted.servers.filter((server) => server.name !== name)
  const waits = others.map((server) => attachStep(server.name, primary, `"${name}" restarted`))
  await applySteps(context, [restartStep(name)])
  await applySteps(context, waits)
}

function restartStep(server: string): Step {
  const text = { title: 'restart PostgreSQL', reason: 'asked for', effect: 'restart' as const }
  return step(server, { action: 'restart' }, text)
}
