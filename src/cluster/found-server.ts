/**
 * What was found of a server, by its name.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { ClusterFound, ServerFound } from './found.ts'

/**
 * What was found of a server of the cluster file.
 * @throws {BackstayError} BUG when it was not looked at.
 */
export function foundServer(found: ClusterFound, name: string): ServerFound {
  const server = found.servers.find((each) => each.name === name)
  if (server === undefined) throw new BackstayError('BUG', `Server "${name}" was not looked at`)
  return server
}
