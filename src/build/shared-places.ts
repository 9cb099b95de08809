/**
 * Places that two servers of one machine have: a standby beside its primary replays CREATE
 * TABLESPACE into the primary's own directory, whatever the cluster file maps. They go with neither
 * of the two.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { runChecked } from '../host/run-checked.ts'
import type { Host } from '../host/host.ts'
import type { ClusterContext } from '../cluster/context.ts'
import { isSameMachine } from '../cluster/machine/way-files.ts'
import type { ServerWanted } from '../cluster/wanted.ts'
import { type DirectoryLink, tablespaceLinksOf } from './tablespace-links.ts'
import { walLinkOf } from './wal-link.ts'

/**
 * Refuses to take away what one of `links`, which are the server's, leads to where another server
 * of the cluster file has it too.
 * @throws DIRECTORY_FOREIGN
 */
export async function refuseShared(
  context: ClusterContext,
  server: ServerWanted,
  links: readonly DirectoryLink[],
): Promise<void> {
  const { host } = await context.machineOf(server)
  const targets = await truePaths(
    host,
    links.map(({ target }) => target),
  )
  for (const other of context.wanted.servers) {
    if (other.directory === server.directory || !isSameMachine(other.host, server.host)) continue
    const places = await truePaths(host, await placesOf(host, other))
    const shared = links.find((_link, at) => places.includes(targets[at] ?? ''))
    if (shared !== undefined) throw sharedPlace(server, other, shared)
  }
}

async function placesOf(host: Host, { directory }: ServerWanted): Promise<string[]> {
  const targets = (await tablespaceLinksOf(host, directory)).map(({ target }) => target)
  const wal = (await walLinkOf(host, directory)) ?? `${directory}/pg_wal`
  return [directory, wal, ...targets]
}

/** Of each path where its links lead; those to nothing stay as they are. */
async function truePaths(host: Host, paths: readonly string[]): Promise<readonly string[]> {
  if (paths.length === 0) return []
  const { stdout } = await runChecked(host, ['realpath', '-mz', '--', ...paths])
  return stdout.split('\0').slice(0, -1)
}

function sharedPlace(
  server: ServerWanted,
  other: ServerWanted,
  { link, target }: DirectoryLink,
): BackstayError {
  const { name } = server
  return new BackstayError(
    'DIRECTORY_FOREIGN',
    `Will not take the directories of server "${name}" away: "${link}" leads to "${target}", which server "${other.name}" has, too`,
    {
      hint: `Give "${name}" a place of its own for it (servers.${name}.tablespaces), stop it, and remove the link: rm ${link}`,
      details: { server: name, other: other.name, link, target },
    },
  )
}
