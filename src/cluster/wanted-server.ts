/**
 * A server of the cluster file by its name or its role.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { ClusterWanted, ServerWanted } from './wanted.ts'

/**
 * The server of a name that was taken from the cluster file.
 * @throws {BackstayError} BUG when the file has none of it.
 */
export function wantedServer(wanted: ClusterWanted, name: string): ServerWanted {
  const server = wanted.servers.find((each) => each.name === name)
  if (server === undefined) throw new BackstayError('BUG', `The cluster has no server "${name}"`)
  return server
}

/**
 * The server that the cluster file calls the primary.
 * @throws {BackstayError} BUG: a file that was checked has one.
 */
export function wantedPrimary(wanted: ClusterWanted): ServerWanted {
  const server = wanted.servers.find(({ role }) => role === 'primary')
  if (server === undefined) throw new BackstayError('BUG', 'The cluster has no primary')
  return server
}
