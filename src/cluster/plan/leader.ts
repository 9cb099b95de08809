/**
 * Which server is the primary, judged by what is found; the role in the cluster file counts only while nothing is built.
 * Pure. The one rule behind all: never start a second primary, never build a new cluster over a lost one.
 */
import type { ClusterFound, DataDirectoryFound, ServerFound } from '../found.ts'
import type { ClusterWanted, ServerWanted } from '../wanted.ts'
import { blocker, type Problem } from './problem.ts'

/** A server whose data directory is of this cluster. */
export interface MemberFound extends ServerFound {
  readonly directory: DataDirectoryFound
}

/** Who leads, or why that cannot be said. */
export type Leader =
  | { readonly kind: 'build'; readonly name: string }
  | { readonly kind: 'found'; readonly server: MemberFound }
  | { readonly kind: 'undecided'; readonly problems: readonly Problem[] }

/** Whether the server's data directory carries the cluster's own system identifier. */
export function isMember(
  found: Pick<ClusterFound, 'identity'>,
  server: ServerFound,
): server is MemberFound {
  return (
    server.directory.state === 'data' &&
    found.identity !== undefined &&
    server.directory.control.systemIdentifier === found.identity.systemIdentifier
  )
}

/**
 * Whether a member would come up, or is up, as a primary. A directory whose signal file is gone but which stopped as a
 * standby has never been anything else: it only lost the file.
 */
export function isPrimaryLike(member: MemberFound): boolean {
  if (member.sql !== undefined) return !member.sql.inRecovery
  const { isStandby, control } = member.directory
  const stoppedAsStandby =
    control.state === 'shut down in recovery' || control.state === 'in archive recovery'
  return !isStandby && !(stoppedAsStandby && member.running === undefined)
}

/** Decides. */
export function findLeader(wanted: ClusterWanted, found: ClusterFound): Leader {
  const members = found.servers.filter((server) => isMember(found, server))
  const candidates = members.filter(isPrimaryLike)
  const running = candidates.filter((member) => member.running !== undefined)
  if (running.length > 1) return undecided(twoPrimaries(running))
  const [only] = running
  if (only !== undefined) return { kind: 'found', server: only }
  const silent = found.servers.filter((server) => server.hostError !== undefined)
  if (silent.length > 0) return undecided(silent.map(unreachable))
  if (members.length === 0) return nothingFound(wanted, found)
  return amongStopped(members, candidates)
}

function amongStopped(members: readonly MemberFound[], candidates: readonly MemberFound[]): Leader {
  const newest = Math.max(...members.map((member) => member.directory.timeline))
  const [first, second] = candidates.filter((member) => member.directory.timeline === newest)
  if (first === undefined) return undecided([noPrimary(members)])
  if (second !== undefined) return undecided(twoPrimaries([first, second]))
  return { kind: 'found', server: first }
}

function nothingFound(wanted: ClusterWanted, found: ClusterFound): Leader {
  const primary = wanted.servers.find((server) => server.role === 'primary') as ServerWanted
  const directory = found.servers.find((server) => server.name === primary.name)?.directory
  // An initdb that died after it had told its identifier is done again: nothing was ever stored in it.
  if (found.identity === undefined || directory?.state === 'initdb-unfinished') {
    return { kind: 'build', name: primary.name }
  }
  const { cluster, systemIdentifier, createdAt } = found.identity
  return undecided([
    blocker(undefined, {
      code: 'DIRECTORY_GONE',
      message: `Cannot build cluster "${cluster}" anew: it was built on ${createdAt} with system identifier ${systemIdentifier}, and no server holds its data any more`,
      hint: 'Mount the disk that holds the data, or restore a backup. To begin with an empty cluster: backstay down --destroy --yes, then backstay up.',
    }),
  ])
}

function noPrimary(members: readonly MemberFound[]): Problem {
  const names = members.map((member) => `"${member.name}"`).join(', ')
  return blocker(undefined, {
    code: 'PRIMARY_MISSING',
    message: `Cannot find the primary: ${names} hold${members.length === 1 ? 's' : ''} the cluster's newest data as standby`,
    hint: 'Bring the primary back, or promote a standby: backstay failover.',
  })
}

function twoPrimaries(servers: readonly MemberFound[]): readonly Problem[] {
  const names = servers.map(
    (server) => `"${server.name}" (timeline ${server.sql?.timeline ?? server.directory.timeline})`,
  )
  const verb = servers.every((server) => server.running !== undefined) ? 'are' : 'would start as'
  return [
    blocker(undefined, {
      code: 'SPLIT_BRAIN',
      message: `Two servers of one cluster ${verb} primary: ${names.join(' and ')}`,
      hint: 'Decide which one holds the data you want, stop the other, then: backstay rejoin <the other>.',
    }),
  ]
}

function unreachable(server: ServerFound): Problem {
  const { code = 'HOST_UNREACHABLE', message = '', hint = '' } = server.hostError ?? {}
  return blocker(server.name, {
    code,
    message: `Cannot say who is primary: host of server "${server.name}" cannot be looked at (${message}), and no other server runs as primary`,
    hint: `${hint} If the host is lost for good, take the server out of the cluster file.`,
  })
}

function undecided(problems: readonly Problem[]): Leader {
  return { kind: 'undecided', problems }
}
