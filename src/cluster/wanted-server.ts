/**
 * A server of the cluster file by its name.
 */
import type { ClusterWanted, ServerWanted } from './wanted.ts'

/** The wanted server of a name. */
export function wantedServer(wanted: ClusterWanted, name: string): ServerWanted {
  return wanted.servers.find((server) => server.name === name) as ServerWanted
}
