/**
 * What a change of roles is decided on is looked at while the lock is held: before it, somebody
 * else may still be at work.
 */
import type { ClusterContext } from '../cluster/context.ts'
import type { ClusterFound } from '../cluster/found.ts'
import { lookCluster, type LookOptions } from '../cluster/look/look.ts'
import { withoutHostOf } from './away.ts'
import { lockRoles, type RolesLock } from './role-lock.ts'

/** What was found, and the lock under which it was; the caller disposes it. */
export interface LookedLocked {
  readonly found: ClusterFound
  readonly roles: RolesLock
}

/**
 * Looks who answers, takes the lock on each of them, and looks again: what is found holds until the
 * lock is let go of, or lost. A host that was away the first time stays away.
 * @throws as `lockRoles` and `lookCluster`
 */
export async function lookLocked(
  context: ClusterContext,
  options: LookOptions,
): Promise<LookedLocked> {
  const before = await lookCluster(context, { forPlan: false })
  const roles = await lockRoles(context, before)
  try {
    const found = await lookCluster(before.servers.reduce(withoutHostOf, context), options)
    await roles.extend(found)
    return { found, roles }
  } catch (error) {
    await roles[Symbol.asyncDispose]()
    throw error
  }
}
