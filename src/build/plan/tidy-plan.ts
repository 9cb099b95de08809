/**
 * The steps that remove what outlived its purpose: marks, notes, and directories that a reclone set
 * aside.
 */
import { posix } from 'node:path'
import type { ServerFound } from '../../cluster/found.ts'
import { CLONE_MARK_NAME } from '../../cluster/names.ts'
import type { ServerWanted } from '../../cluster/wanted.ts'
import { isStreaming, type PrimaryOfPlan } from './attach-plan.ts'
import type { ServerPlan } from './server-plan.ts'
import { type Step, step } from './step.ts'

/** Plans it. What was set aside stays until the new standby streams. */
export function planTidying(
  server: ServerWanted,
  place: { readonly found: ServerFound; readonly primary: PrimaryOfPlan },
): ServerPlan {
  const { found, primary } = place
  // The data directory, which is named first, is the last to go: it tells on which timeline it was.
  const asides = isStreaming(primary.found?.sql, found) ? found.asides.toReversed() : []
  const steps = asides.map(asideStep(found, primary.wanted.name))
  return { steps: [...leftOverSteps(server, found), ...steps], problems: [] }
}

function leftOverSteps(server: ServerWanted, { directory, name }: ServerFound): readonly Step[] {
  if (directory.state !== 'data') return []
  const steps: Step[] = []
  if (directory.hasStaleMark) {
    const path = posix.join(server.directory, CLONE_MARK_NAME)
    const text = { title: 'remove the mark of a finished clone', reason: 'the clone is whole' }
    steps.push(step(name, { action: 'remove-mark', path }, text))
  }
  if (directory.hasStaleNote) {
    const text = { title: 'forget a finished initdb', reason: 'the cluster is whole' }
    steps.push(step(name, { action: 'remove-note' }, text))
  }
  return steps
}

function asideStep({ name }: ServerFound, primary: string): (path: string) => Step {
  return (path) =>
    step(
      name,
      { action: 'remove-aside', path, primary },
      {
        title: `remove ${path}`,
        reason: `a reclone set it aside, and "${name}" streams now`,
        isDestructive: true,
      },
    )
}
