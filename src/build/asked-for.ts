/**
 * A standby that the operator names to be made anew.
 */
import type { ClusterContext } from '../cluster/context.ts'

/**
 * The context for it: that only the server said where its data lies (adopt) keeps nothing from
 * being made there any more.
 */
export function askedFor(context: ClusterContext, name: string): ClusterContext {
  const servers = context.wanted.servers.map((server) =>
    server.name === name ? { ...server, isAdopted: false } : server,
  )
  return { ...context, wanted: { ...context.wanted, servers } }
}
