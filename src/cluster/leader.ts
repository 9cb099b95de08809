/**
 * Which server is the primary, judged by what is found; the role in the cluster file counts only
 * while nothing is built. Pure. The one rule behind all: never start a second primary, never build
 * a new cluster over a lost one.
 */
import { RESTORE_MARK } from '../restore/left-settings.ts'
import type { ClusterFound, DataDirectoryFound, ServerFound } from './found.ts'
import { isRestoring } from './takeover.ts'
import type { ClusterWanted } from './wanted.ts'
import { wantedPrimary } from './wanted-server.ts'
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
 * Whether a member would come up, or is up, as a primary. A directory whose signal file is gone but
 * which stopped as a standby has never been anything else: it only lost the file. One that was
 * restored is going to be one.
 */
export function isPrimaryLike(member: MemberFound): boolean {
  if (member.sql !== undefined) return !member.sql.inRecovery
  const { isStandby, isRecovering, control } = member.directory
  if (isRecovering === true) return true
  const stoppedAsStandby =
    control.state === 'shut down in recovery' || control.state === 'in archive recovery'
  return !isStandby && !(stoppedAsStandby && member.running === undefined)
}

/**
 * Decides who the primary is: the one that runs as such; when none runs, the stopped one on the
 * newest timeline. Undecided, with the reasons, when there are two, when the one it was last has
 * not given up, while a host is away and none runs, and while a restore is under way. Pure.
 */
export function findLeader(wanted: ClusterWanted, found: ClusterFound): Leader {
  const members = found.servers.filter((server) => isMember(found, server))
  const candidates = members.filter(isPrimaryLike)
  const running = candidates.filter((member) => member.running !== undefined)
  if (running.length > 1) return undecided(twoPrimaries(running))
  const [only] = running
  if (only !== undefined) return unlessPassedOver(only, lastPrimaryAmong(found, candidates))
  const silent = found.servers.filter((server) => server.hostError !== undefined)
  if (silent.length > 0) return undecided(silent.map(unreachable))
  if (members.length === 0) return nothingFound(wanted, found)
  const restoring = members.find(isRestoring)
  if (restoring !== undefined) return undecided([stillRestoring(restoring)])
  return amongStopped(members, candidates, lastPrimaryAmong(found, candidates))
}

/**
 * The last primary that was in order, if it would still come up as one: nothing has told it that it
 * is not the primary any more.
 */
function lastPrimaryAmong(
  { lastPrimary }: ClusterFound,
  candidates: readonly MemberFound[],
): MemberFound | undefined {
  return candidates.find(({ name }) => name === lastPrimary?.server)
}

/**
 * A higher timeline is no proof: a standby that was promoted by mistake has one, too, while the
 * primary went on on the older. What the last primary wrote after the two parted would be passed
 * over in silence.
 */
function unlessPassedOver(leader: MemberFound, last: MemberFound | undefined): Leader {
  if (last === undefined || last.name === leader.name) return { kind: 'found', server: leader }
  return undecided([passedOver(leader, last)])
}

function amongStopped(
  members: readonly MemberFound[],
  candidates: readonly MemberFound[],
  last: MemberFound | undefined,
): Leader {
  const newest = Math.max(...members.map((member) => member.directory.timeline))
  const [first, second] = candidates.filter((member) => member.directory.timeline === newest)
  const recovering = members.find(isRecovering)
  if (recovering !== undefined) return undecided([notYet(recovering)])
  if (first === undefined) return undecided([noPrimary(members)])
  if (second !== undefined) return undecided(twoPrimaries([first, second]))
  return unlessPassedOver(first, last)
}

function passedOver(leader: MemberFound, last: MemberFound): Problem {
  const [one, other] = [`"${leader.name}"`, `"${last.name}"`]
  const isRunning = leader.running !== undefined
  const does = isRunning ? 'runs as the primary' : 'would start as the primary'
  const keep = isRunning ? '' : `start ${one} by hand, then: `
  const away = isRunning ? `stop ${one}, ` : ''
  return blocker(undefined, {
    code: 'SPLIT_BRAIN',
    message: `Cannot say who is primary: ${one} ${does} (timeline ${timelineOf(leader)}), but ${other} was it last (timeline ${timelineOf(last)}) and has not given it up: it may hold commits that ${one} lacks`,
    hint: `If ${one} holds the data you want: ${keep}backstay rejoin ${last.name}. If ${other} does: ${away}start ${other} by hand, then: backstay rejoin ${leader.name}. What only the other one has is kept.`,
  })
}

function timelineOf({ sql, directory }: MemberFound): number {
  return sql?.timeline ?? directory.timeline
}

function nothingFound(wanted: ClusterWanted, found: ClusterFound): Leader {
  const primary = wantedPrimary(wanted)
  const directory = found.servers.find((server) => server.name === primary.name)?.directory
  // An initdb that died after it had told its identifier is done again: nothing was ever stored in
  // it.
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

/**
 * Runs, was restored, and has not come to the end of its recovery. Its signal file goes before
 * that.
 */
export function isRecovering({ running, directory, sql, files }: MemberFound): boolean {
  if (running === undefined || directory.isStandby) return false
  const isEnding = sql?.inRecovery === true && files.autoConf?.includes(RESTORE_MARK) === true
  return directory.isRecovering === true || isEnding
}

function notYet({ name }: MemberFound): Problem {
  return blocker(name, {
    code: 'PRIMARY_MISSING',
    message: `Server "${name}" was restored and still recovers: it is no primary before that has ended`,
    hint: 'Run: backstay up. It waits for the end of the recovery.',
  })
}

function noPrimary(members: readonly MemberFound[]): Problem {
  const names = members.map((member) => `"${member.name}"`).join(', ')
  return blocker(undefined, {
    code: 'PRIMARY_MISSING',
    message: `Cannot find the primary: ${names} hold${members.length === 1 ? 's' : ''} the cluster's newest data as standby`,
    hint: 'Bring the primary back, or promote a standby: backstay failover.',
  })
}

function stillRestoring({ name }: MemberFound): Problem {
  return blocker(name, {
    code: 'NOT_READY',
    message: `"${name}" still recovers from a restore: it is no primary yet, and no standby either`,
    hint: 'Wait until it has come to its target and is promoted; then run: backstay up',
  })
}

function twoPrimaries(servers: readonly MemberFound[]): readonly Problem[] {
  const names = servers.map((server) => `"${server.name}" (timeline ${timelineOf(server)})`)
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
