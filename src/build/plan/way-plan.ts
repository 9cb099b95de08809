/**
 * The steps that open the servers' ways into the repository on another machine. Pure.
 */
import type { ClusterFound } from '../../cluster/found.ts'
import type { GateFound, WayFound } from '../../cluster/found-ways.ts'
import {
  authorizedLine,
  wayConfigText,
  wayDirectoryOf,
  wayKnownHosts,
  wayPaths,
  withAuthorizedLine,
} from '../../cluster/machine/way-files.ts'
import type { BackupWanted, ClusterWanted } from '../../cluster/wanted.ts'
import { isStreaming, type PrimaryOfPlan } from './attach-plan.ts'
import { added } from './diff.ts'
import type { ServerPlan } from './server-plan.ts'
import { type Step, step } from './step.ts'

/**
 * Plans them: last of all, because a way is proved when it is made, and Backstay has to be there
 * for that.
 */
export function planWays(wanted: ClusterWanted, { ways }: ClusterFound): ServerPlan {
  const { backup } = wanted
  if (backup === undefined || ways === undefined) return { steps: [], problems: [] }
  const steps = ways.servers.flatMap((way) => waySteps(wanted, backup, { gate: ways.gate, way }))
  return { steps, problems: [] }
}

/**
 * The steps that end the fetching of standbys that stream: a promotion would ask the repository,
 * which may be away.
 */
export function planFetching(
  found: ClusterFound,
  primary: PrimaryOfPlan,
  wanted: ClusterWanted,
): ServerPlan {
  const steps = (found.fetching ?? []).flatMap((name) => {
    const standby = found.servers.find((server) => server.name === name)
    const server = wanted.servers.find((each) => each.name === name)
    if (standby === undefined || server === undefined) return []
    if (!isStreaming(primary.found?.sql, standby)) return []
    const path = wayPaths(wayDirectoryOf(server.directory)).fetching
    const text = { title: 'stop fetching WAL from the repository', reason: 'it streams' }
    return [step(name, { action: 'stop-fetching', path }, text)]
  })
  return { steps, problems: [] }
}

function waySteps(
  wanted: ClusterWanted,
  backup: BackupWanted,
  { gate, way }: { readonly gate: GateFound; readonly way: WayFound },
): readonly Step[] {
  const server = wanted.servers.find(({ name }) => name === way.server)
  if (server === undefined) return []
  const reason = whatIsMissing(wanted, backup, { gate, way, directory: server.directory })
  if (reason === undefined) return []
  const directory = wayDirectoryOf(server.directory)
  return [
    step(
      way.server,
      { action: 'way', directory },
      {
        title: `let it into the repository on "${backup.name}" over ssh`,
        reason,
        diff: [
          added(`${directory} (its own key, configuration and known_hosts for ssh)`),
          added(
            `${gate.path} on "${backup.name}": that key may store and fetch WAL of "${wanted.name}" and read its backups, nothing else`,
          ),
        ],
      },
    ),
  ]
}

/** Undefined when the way is as it should be. */
function whatIsMissing(
  wanted: ClusterWanted,
  backup: BackupWanted,
  found: { readonly gate: GateFound; readonly way: WayFound; readonly directory: string },
): string | undefined {
  const { gate, way } = found
  const { server, publicKey, config, knownHosts } = way
  if (publicKey === undefined) return 'it has no key'
  const paths = wayPaths(wayDirectoryOf(found.directory))
  if (config !== wayConfigText(backup, gate.osUser, paths)) return 'its ssh configuration differs'
  if (knownHosts !== wayKnownHosts(gate.hostKeys))
    return 'the host key it knows is not the present one'
  const line = authorizedLine(wanted.name, backup, { server, publicKey })
  const owner = { cluster: wanted.name, server }
  const isKnown = withAuthorizedLine(gate.authorizedKeys, owner, line) === gate.authorizedKeys
  const isThere = gate.authorizedKeys.split('\n').includes(line)
  return isKnown || isThere ? undefined : `"${backup.name}" does not know its key`
}
