/**
 * Carries a plan out, step by step, telling of each. A step that fails leaves a state from which
 * the next `up` goes on.
 */
import type { ClusterContext } from '../cluster/context.ts'
import type { Step } from './plan/step.ts'
import { act } from './steps/acts.ts'

/**
 * Runs the steps in order; between two of them the signal is heeded.
 * @throws what the first failing step throws.
 */
export async function applySteps(context: ClusterContext, steps: readonly Step[]): Promise<void> {
  for (const batch of batches(steps)) {
    context.signal.throwIfAborted()
    const taken = batch.map(async (step) => takeStep(context, step, async () => act(context, step)))
    const ends = await Promise.allSettled(taken)
    for (const end of ends) if (end.status === 'rejected') throw end.reason
  }
}

/**
 * Installations on different machines have nothing to do with each other and take long: neighbours
 * are done at once.
 */
function batches(steps: readonly Step[]): readonly (readonly Step[])[] {
  const all: Step[][] = []
  for (const step of steps) {
    const last = all.at(-1)
    const joins = step.action === 'install' && last?.[0]?.action === 'install'
    if (last !== undefined && joins) last.push(step)
    else all.push([step])
  }
  return all
}

/** What is told of something that is done. */
export type StepTold = Pick<Step, 'id' | 'server' | 'title'>

/** Does `work` and tells of it, with a crash point before and after. */
export async function takeStep<T>(
  context: ClusterContext,
  { id, server, title }: StepTold,
  work: () => Promise<T>,
): Promise<T> {
  const startedAtMs = context.clock.monotonic()
  context.report({ kind: 'step-started', id, server, title })
  await context.crashPoint(`before ${id}`)
  let result: T
  try {
    result = await work()
  } catch (error) {
    context.report({ kind: 'step-failed', id })
    throw error
  }
  await context.crashPoint(`after ${id}`)
  context.report({ kind: 'step-done', id, durationMs: context.clock.monotonic() - startedAtMs })
  return result
}
