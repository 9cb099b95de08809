/**
 * A context for what must not be broken off: between the stop of one primary and the promotion of
 * the next an interruption would leave the cluster without any. Every wait in it has a bound of its
 * own.
 */
import type { ClusterContext } from '../cluster/context.ts'

/** The same context that no interruption reaches. */
export function steadyContext(context: ClusterContext): ClusterContext {
  const { signal } = new AbortController()
  return {
    ...context,
    signal,
    crashPoint: async (name) => {
      if (!context.signal.aborted) await context.crashPoint(name)
    },
  }
}
