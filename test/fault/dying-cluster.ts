/**
 * A cluster on this machine whose operations kill this process at one of their crash points.
 */
import { appendFileSync } from 'node:fs'
import { type ClusterContext, clusterContext } from '../../src/cluster/context.ts'
import type { ClusterWanted } from '../../src/cluster/wanted.ts'
import { LocalHost } from '../../src/host/local-host.ts'
import { systemClock } from '../../src/util/clock.ts'

/** Which cluster, and where to die. */
export interface DyingOrder {
  readonly wanted: ClusterWanted
  /** Name of the crash point; none: nobody dies. */
  readonly killAt?: string
  /** File to which the names of the points passed are appended. */
  readonly record?: string
}

/** The context for the operation. */
export function dyingCluster(order: DyingOrder): ClusterContext {
  const home = new LocalHost('localhost')
  return clusterContext({
    wanted: order.wanted,
    home,
    openHost: async () => home,
    clock: systemClock,
    signal: new AbortController().signal,
    crashPoint: async (name) => {
      if (order.record !== undefined) appendFileSync(order.record, `${name}\n`)
      if (name !== order.killAt) return
      process.kill(process.pid, 'SIGKILL')
      // The signal is delivered before anything else runs.
      await new Promise(() => undefined)
    },
  })
}
