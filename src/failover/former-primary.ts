/**
 * Who a failover goes from, and how that server can be kept from serving. Pure. A server that
 * answers as a standby is not the lost primary, whatever is remembered: the primary may be the one
 * that cannot be looked at, and alive.
 */
import type { ClusterFound, LeaderNote, ServerFound } from '../cluster/found.ts'
import { findLeader, isMember, isPrimaryLike, type MemberFound } from '../cluster/leader.ts'
import type { ClusterWanted } from '../cluster/wanted.ts'
import { type Lines, type LineRelation, relationOf } from './line.ts'

/**
 * How the old primary can be kept from serving: `stopped`: it does not run, and its directory can
 * be marked; `hung`: it runs and does not answer, it can be ended; `gone`: its directory is lost;
 * `unreachable`: nothing can be done to it; `standby`: it is one already, and follows like the
 * others.
 */
export type Fencing = 'stopped' | 'hung' | 'gone' | 'unreachable' | 'standby'

/** What is known besides what was found. */
export interface FormerHints {
  /** The candidate. */
  readonly to: string
  readonly note: LeaderNote | undefined
  readonly lines: Lines
  /** Who a change of roles of ours that died goes from. */
  readonly resumed?: string | undefined
}

/** Finds it; undefined when several cannot be looked at, and any of them may have been it. */
export function formerPrimary(
  wanted: ClusterWanted,
  found: ClusterFound,
  hints: FormerHints,
): ServerFound | undefined {
  const others = { ...found, servers: found.servers.filter(({ name }) => name !== hints.to) }
  const away = others.servers.filter(isAway)
  if (away.length > 0) return whileAway(others, away, hints)
  const leader = findLeader(wanted, found)
  const last =
    leader.kind === 'found' && leader.server.name !== hints.to ? leader.server : undefined
  // One whose timeline the candidate's came from did not write that: somebody did after it.
  if (last !== undefined && relationTo(last, hints) !== 'ahead') return last
  return ownPrimary(others, hints) ?? last ?? remembered(wanted, others, hints)
}

/** How it can be kept from serving. */
export function fencingOf(found: ClusterFound, from: ServerFound): Fencing {
  if (isAway(from)) return 'unreachable'
  if (!isMember(found, from)) return 'gone'
  if (!wasPrimary(from)) return 'standby'
  return from.running === undefined ? 'stopped' : 'hung'
}

/** Whether nobody can say what it is. */
export function isAway({ hostError, directory }: ServerFound): boolean {
  return hostError !== undefined || directory.state === 'unknown'
}

/** Runs as a primary that does not answer, beside the one the failover goes from. */
export function rivalOf(found: ClusterFound, from: ServerFound): ServerFound | undefined {
  return found.servers.find(
    (server) =>
      server.name !== from.name &&
      server.running !== undefined &&
      isMember(found, server) &&
      isPrimaryLike(server),
  )
}

/**
 * One that cannot be looked at is taken for it, unless another one is proved to have written the
 * candidate's line last.
 */
function whileAway(
  others: ClusterFound,
  away: readonly ServerFound[],
  hints: FormerHints,
): ServerFound | undefined {
  const resumed = others.servers.find(({ name }) => name === hints.resumed)
  if (resumed !== undefined && isMember(others, resumed) && isLast(resumed, hints)) return resumed
  const noted = isStale(hints) ? undefined : away.find(({ name }) => name === hints.note?.server)
  const only = away.length === 1 ? away[0] : undefined
  return noted ?? ownPrimary(others, hints) ?? only
}

/**
 * Whether it was the primary, and nobody has been since: the candidate's timeline would have come
 * from its own.
 */
function isLast(member: MemberFound, hints: FormerHints): boolean {
  return wasPrimary(member) && relationTo(member, hints) !== 'ahead'
}

/**
 * Whether the candidate is on a later timeline than the primary that is remembered: then there was
 * another one since.
 */
function isStale({ note, lines, to }: FormerHints): boolean {
  return note !== undefined && note.timeline < (lines.get(to)?.timeline ?? 0)
}

/**
 * The one that would come up as a primary on the candidate's own line: it wrote what the candidate
 * has.
 */
function ownPrimary(others: ClusterFound, hints: FormerHints): MemberFound | undefined {
  const own = others.servers
    .filter((server) => isMember(others, server))
    .filter((server) => isPrimaryLike(server) && relationTo(server, hints) === 'same')
  return own.find(({ name }) => name === hints.note?.server) ?? own[0]
}

function relationTo({ name }: ServerFound, { lines, to }: FormerHints): LineRelation {
  return relationOf(lines.get(to), lines.get(name))
}

/**
 * Everybody is seen, and nobody would come up as the primary: it has been marked, or its directory
 * is lost.
 */
function remembered(
  wanted: ClusterWanted,
  others: ClusterFound,
  hints: FormerHints,
): ServerFound | undefined {
  const first = wanted.servers.find(({ role }) => role === 'primary')?.name
  const named = [hints.resumed, hints.note?.server, first].flatMap(
    (name) => others.servers.find((server) => server.name === name) ?? [],
  )
  const isLost = (server: ServerFound): boolean => !isMember(others, server) || wasPrimary(server)
  const marked = others.servers.find((server) => isMember(others, server) && wasPrimary(server))
  return named.find(isLost) ?? marked ?? named[0] ?? others.servers[0]
}

const STANDBY_STATES: readonly string[] = ['in archive recovery', 'shut down in recovery']

/**
 * Whether it would come up as a primary, or was one until it was marked as a standby: it has not
 * run as one since.
 */
function wasPrimary(member: MemberFound): boolean {
  const { state } = member.directory.control
  return isPrimaryLike(member) || (member.sql === undefined && !STANDBY_STATES.includes(state))
}
