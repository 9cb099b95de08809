/**
 * Starts a candidate that a failover had stopped to give it WAL, and that died before it started it again.
 */
import { applySteps } from '../apply.ts'
import type { ClusterContext } from '../context.ts'
import type { ServerFound } from '../found.ts'
import { step } from '../plan/step.ts'

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
