/**
 * The clone of a standby that is to come from the newest backup. Pure.
 */
import type { ClusterFound, ServerFound } from '../../cluster/found.ts'
import type { ClusterWanted, ServerWanted } from '../../cluster/wanted.ts'
import type { PrimaryOfPlan } from './attach-plan.ts'
import { planClone } from './clone-plan.ts'
import type { ServerPlan } from './server-plan.ts'
import { type Step, step } from './step.ts'

/**
 * Plans a clone from where the cluster file says; without a backup from the primary, with the
 * reason.
 */
export function planCloneFrom(
  wanted: ClusterWanted,
  found: ClusterFound,
  place: {
    readonly found: ServerFound
    readonly server: ServerWanted
    readonly primary: PrimaryOfPlan
  },
): ServerPlan {
  const { server, primary } = place
  const plan = planClone(wanted, server, { found: place.found, primary })
  if (server.clonesFromBackup !== true) return plan
  const { newestBackup: backup } = found
  if (backup === undefined) return { ...plan, steps: plan.steps.map(withReason) }
  const clone = (entry: Step): Step => fromBackup(entry, { server, primary, backup })
  return { ...plan, steps: plan.steps.filter(({ action }) => action !== 'package').map(clone) }
}

function withReason(entry: Step): Step {
  if (entry.action !== 'clone') return entry
  return { ...entry, reason: `${entry.reason}; from the primary: there is no backup yet` }
}

function fromBackup(
  entry: Step,
  of: { readonly server: ServerWanted; readonly primary: PrimaryOfPlan; readonly backup: string },
): Step {
  if (entry.action !== 'clone') return entry
  const { server, primary, backup } = of
  return step(
    server.name,
    { action: 'clone-from-backup', source: primary.wanted.name },
    {
      title: `clone the newest backup (${backup}) into ${server.directory}`,
      reason: entry.reason,
      diff: entry.diff,
    },
  )
}
