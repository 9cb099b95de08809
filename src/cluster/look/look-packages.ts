/**
 * Whether Backstay is, or could be, on the machines of the standbys that need a clone: then they
 * clone straight from the primary.
 */
import { type ClusterContext, orElse } from '../context.ts'
import type { ClusterFound, ServerFound } from '../found.ts'
import { lookPackage } from './look-package.ts'
import { needsClone } from './look-room.ts'
import { wantedServer } from '../wanted-server.ts'

/** The found cluster with the package of each server that needs a clone on another machine. */
export async function withPackages(
  context: ClusterContext,
  found: ClusterFound,
): Promise<ClusterFound> {
  if (!context.canShip) return found
  const servers = found.servers.map(async (server) => {
    const { host } = wantedServer(context.wanted, server.name)
    return host.local || !needsClone(server) ? server : await withPackage(context, server)
  })
  return { ...found, servers: await Promise.all(servers) }
}

async function withPackage(context: ClusterContext, server: ServerFound): Promise<ServerFound> {
  return await orElse(async () => {
    const { host } = await context.machineOf(wantedServer(context.wanted, server.name))
    return { ...server, backstay: await lookPackage(context, host) }
  }, server)
}
