/**
 * A context that knows that a machine is away: a dead host is not asked again and again, each time
 * until ssh gives up.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { ClusterContext } from '../cluster/context.ts'
import type { ServerFound } from '../cluster/found.ts'

/**
 * The same context, in which the host of a server that did not answer stays away; unchanged for one
 * that did.
 */
export function withoutHostOf(context: ClusterContext, found: ServerFound): ClusterContext {
  const { name, hostError } = found
  if (hostError === undefined) return context
  const { code, message, hint } = hostError
  return {
    ...context,
    machineOf: async (server) => {
      if (server.name !== name) return await context.machineOf(server)
      throw new BackstayError(code, message, hint === undefined ? {} : { hint })
    },
  }
}
