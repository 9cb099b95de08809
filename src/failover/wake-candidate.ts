/**
 * Starts a candidate that a failover had stopped to give it WAL, and that died before it started it
 * again.
 */
import { applySteps } from '../build/apply.ts'
import type { ClusterContext } from '../cluster/context.ts'
import type { ServerFound } from '../cluster/found.ts'
import { step } from '../build/plan/step.ts'

/** Starts it when it is a stopped standby; leaves everything else alone. */
export async function wakeCandidate(
  context: ClusterContext,
  name: string,
  found: ServerFound | undefined,
): Promise<void> {
  const isStopped = found?.directory.state === 'data' && found.running === undefined
  if (!isStopped || found.directory.state !== 'data' || !found.directory.isStandby) return
  const text = { title: 'start PostgreSQL', reason: 'an interrupted failover had stopped it' }
  await applySteps(context, [step(name, { action: 'start' }, text)])
}
