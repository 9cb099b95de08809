/**
 * One operation at a time on a cluster, from this state directory.
 */
import { posix } from 'node:path'
import { acquireProcessLock, type ProcessLock } from '../host/process-lock.ts'
import type { ClusterContext } from './context.ts'

/**
 * Takes the cluster's lock until it is disposed; a dead holder's is taken over.
 * @param work what it is taken for: `up`.
 * @throws REPOSITORY_LOCKED naming who has it.
 */
export async function lockCluster(context: ClusterContext, work: string): Promise<ProcessLock> {
  const { state, clock } = context
  await state.create()
  return await acquireProcessLock(posix.join(state.path, 'lock'), {
    purpose: `backstay ${work}`,
    clock,
  })
}
