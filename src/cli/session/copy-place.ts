/**
 * Where a copy is that is to be stopped or removed: on this machine, or on that of a server.
 */
import { BackstayError, isBackstayError } from '../../errors/backstay-error.ts'
import type { Host } from '../../host/host.ts'
import { LocalHost } from '../../host/local-host.ts'
import { findCopy, type OpenedCopy } from '../../restore/opened-copy.ts'
import type { ARGUMENTS, OPTIONS } from '../commands/copy-options.ts'
import type { CommandContext } from '../context.ts'
import { openClusterSession } from './cluster-session.ts'
import { absolute } from './wal-place.ts'

/**
 * Finds the copy and works on it.
 * @throws {BackstayError} DIRECTORY_FOREIGN when it is none, USAGE for a server that is not in the
 * cluster file
 */
export async function withCopy<T>(
  context: CommandContext<typeof OPTIONS, typeof ARGUMENTS>,
  work: (host: Host, copy: OpenedCopy) => Promise<T>,
): Promise<T> {
  const directory = absolute(context, context.arguments.directory)
  const name = context.options.server
  if (name === undefined) {
    const host = new LocalHost('localhost')
    await refuseServers(context, directory)
    return await work(host, await findCopy(host, directory))
  }
  await using session = await openClusterSession(context)
  const { servers } = session.wanted
  const server = servers.find((each) => each.name === name)
  if (server === undefined) {
    const known = servers.map((each) => `"${each.name}"`).join(', ')
    throw new BackstayError('USAGE', `Cannot look on "${name}": the servers are ${known}`)
  }
  if (server.directory === directory) throw ofServer(directory, name)
  const { host } = await session.cluster.machineOf(server)
  return await work(host, await findCopy(host, directory))
}

/**
 * A server that was restored into its place is noted as a copy too until `up` has made it a server
 * again.
 */
async function refuseServers(
  context: CommandContext<typeof OPTIONS, typeof ARGUMENTS>,
  directory: string,
): Promise<void> {
  const wanted = await context.config().then(
    (found) => found.wanted,
    (error: unknown) => {
      if (isBackstayError(error, 'CONFIG_MISSING')) return undefined
      throw error
    },
  )
  const server = wanted?.servers.find((each) => each.host.local && each.directory === directory)
  if (server !== undefined) throw ofServer(directory, server.name)
}

function ofServer(directory: string, name: string): BackstayError {
  return new BackstayError(
    'DIRECTORY_FOREIGN',
    `Will not touch "${directory}": it is the data directory of server "${name}"`,
  )
}
