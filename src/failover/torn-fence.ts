/**
 * A fence for a directory that a rewind has begun to overwrite. The journal tells that as well, but
 * only until another change of roles takes its place; the fence lies beside the directory and stays
 * until the server is whole again.
 */
import { fenceServer, readFence } from '../host/boot-guard.ts'
import type { ClusterContext } from '../cluster/context.ts'
import type { ServerWanted } from '../cluster/wanted.ts'

const BY = 'rejoin'

/** Nothing starts the server from now on. */
export async function fenceTorn(context: ClusterContext, server: ServerWanted): Promise<void> {
  const { host } = await context.machineOf(server)
  const at = new Date(context.clock.now()).toISOString()
  const reason = `a rewind of it began and did not end: backstay rejoin ${server.name}`
  await fenceServer({ host, directory: server.directory }, { by: BY, at, reason })
}

/** Whether a rewind of it began and did not end. */
export async function isFencedTorn(
  context: ClusterContext,
  server: ServerWanted,
): Promise<boolean> {
  const { host } = await context.machineOf(server)
  const fence = await readFence({ host, directory: server.directory })
  return fence?.by === BY
}
