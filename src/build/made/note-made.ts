/**
 * Notes what is made before it is: a step that dies has left something, too.
 */
import type { ClusterContext } from '../../cluster/context.ts'
import { NOTHING_MADE, withWanted } from '../../cluster/made.ts'

/** Notes it, when anything about it is new. The caller holds the cluster's lock. */
export async function noteMade({ state, wanted }: ClusterContext): Promise<void> {
  const known = await state.readMade()
  const now = withWanted(known ?? NOTHING_MADE, wanted)
  if (JSON.stringify(now) !== JSON.stringify(known)) await state.writeMade(now)
}
