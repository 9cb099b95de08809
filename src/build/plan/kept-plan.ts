/**
 * The steps that keep a copy of identity and passwords where the cluster is. Pure.
 */
import type { ClusterFound } from '../../cluster/found.ts'
import { keptStatePathOf } from '../../cluster/state/kept-state.ts'
import type { ClusterWanted } from '../../cluster/wanted.ts'
import { added } from './diff.ts'
import type { ServerPlan } from './server-plan.ts'
import { step } from './step.ts'

/** One for each machine whose copy is missing or not as it should be. */
export function planKept(wanted: ClusterWanted, { kept }: ClusterFound): ServerPlan {
  const path = keptStatePathOf(wanted.name)
  const steps = [...(kept ?? [])].flatMap(([server, state]) => {
    if (state === 'ours') return []
    const text = {
      title: `keep identity and passwords in ${path}`,
      reason:
        state === 'missing' ? 'another operator joins from there' : 'it is not as it should be',
      diff: [added(`${path} (root's alone, mode 600)`)],
    }
    return [step(server, { action: 'keep-state', path }, text)]
  })
  return { steps, problems: [] }
}
