/**
 * Carries a plan out, step by step, telling of each. A step that fails leaves a state from which the next `up` goes on.
 */
import type { ClusterContext } from './context.ts'
import type { Step } from './plan/step.ts'
import { act } from './steps/acts.ts'

/** Runs the steps in order; between two of them the signal is heeded. @throws what the first failing step throws. */
export async function applySteps(context: ClusterContext, steps: readonly Step[]): Promise<void> {
  for (const step of steps) {
    context.signal.throwIfAborted()
    await applyStep(context, step)
  }
}

async function applyStep(context: ClusterContext, step: Step): Promise<void> {
  const { id, server, title } = step
  const startedAtMs = context.clock.monotonic()
  context.report({ kind: 'step-started', id, server, title })
  await context.crashPoint(`before ${id}`)
  try {
    await act(context, step)
  } catch (error) {
    context.report({ kind: 'step-failed', id })
    throw error
  }
  await context.crashPoint(`after ${id}`)
  context.report({ kind: 'step-done', id, durationMs: context.clock.monotonic() - startedAtMs })
}
