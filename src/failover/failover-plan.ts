/**
 * Who a failover goes from and to, or why it may not. Pure.
 */
import type { ErrorCode } from '../errors/codes.ts'
import type { ClusterFound, LeaderNote, ServerFound } from '../cluster/found.ts'
import { quotedNames } from '../util/quoted-names.ts'
import { isMember, isPrimaryLike } from '../cluster/leader.ts'
import { blocker, type Problem } from '../cluster/problem.ts'
import { isAnswering } from '../cluster/replication.ts'
import { type Candidate, candidates, isRestoring } from '../cluster/takeover.ts'
import type { ClusterWanted } from '../cluster/wanted.ts'
import { type Fencing, fencingOf, formerPrimary, isAway, rivalOf } from './former-primary.ts'
import { type Line, type Lines, type LineRelation, relationOf } from './line.ts'
import type { WalMatch } from './same-wal.ts'
import { type AnsweringMember, standbysBeside, unknownServer } from './switch-plan.ts'

/** Who takes over from whom. */
export interface FailoverPlan {
  readonly from: ServerFound
  readonly fencing: Fencing
  /** Others that cannot be looked at, where `from` cannot be either: one of them may be it. */
  readonly away: readonly string[]
  readonly to: AnsweringMember
  readonly others: readonly AnsweringMember[]
  readonly candidates: readonly Candidate[]
  /** How `to` lies to the line of `from`. */
  readonly relation: LineRelation
  /** Those that are on it or ahead. */
  readonly onLine: readonly string[]
  readonly lines: Lines
  /** Whose WAL is the candidate's, by names of `others`, once that was looked at. */
  readonly beside?: ReadonlyMap<string, WalMatch>
}

/** The plan, or why there is none. */
export type FailoverDecision =
  | { readonly kind: 'failover'; readonly plan: FailoverPlan }
  | { readonly kind: 'refused'; readonly problems: readonly Problem[] }

/** What the decision hangs on besides what was found. */
export interface FailoverWish {
  readonly to: string | undefined
  readonly note: LeaderNote | undefined
  readonly lines: Lines
  /** Of the primary that `note` names, when it cannot be looked at. */
  readonly remembered: Line | undefined
  /** Who a change of roles of ours that died goes from. */
  readonly resumed?: string | undefined
}

/**
 * Decides which standby takes over from which primary, or why none may. Whether WAL is lost by it
 * is judged afterwards (loss.ts). Pure.
 */
export function planFailover(
  wanted: ClusterWanted,
  found: ClusterFound,
  wish: FailoverWish,
): FailoverDecision {
  const unknown = unknownServer(wanted, wish.to)
  if (unknown !== undefined) return refused(unknown)
  const alive = found.servers.find((server) => isAnswering(server) && !server.sql.inRecovery)
  if (alive !== undefined) return refused(stillServes(alive.name))
  const refusing = found.servers.find((server) => refusesUs(found, server))
  if (refusing !== undefined) return refused(isAlive(refusing))
  const ranked = candidates(wanted, found)
  const standbys = standbysBeside(found, [])
  const relations = relationsOf(wanted, found, wish)
  const chosen = choose(ranked, relations, wish.to)
  const to = standbys.find(({ name }) => name === chosen?.server)
  if (to === undefined) return refused(nobody(wish.to))
  if (to.sql.position.isReplayPaused) return refused(paused(to.name))
  if (isRestoring(to)) return refused(restoring(to.name))
  const from = formerPrimary(wanted, found, { ...wish, to: to.name })
  if (from === undefined) return refused(anyOf(found.servers.filter(isAway)))
  const rival = rivalOf(found, from)
  if (rival !== undefined) return refused(alsoRuns(rival.name, from.name))
  const others = standbys.filter(({ name }) => name !== to.name)
  const onLine = standbys.flatMap(({ name }) => (isOnLine(relations.get(name)) ? [name] : []))
  const fencing = fencingOf(found, from)
  const silent = found.servers.filter((server) => isAway(server) && server.name !== from.name)
  const away = fencing === 'unreachable' ? silent.map(({ name }) => name) : []
  const way = { from, fencing, away, to, others, candidates: ranked }
  const relation = relations.get(to.name) ?? 'unknown'
  return { kind: 'failover', plan: { ...way, relation, onLine, lines: wish.lines } }
}

/** How each standby that answers lies to the line of the primary it would take over from. */
function relationsOf(
  wanted: ClusterWanted,
  found: ClusterFound,
  wish: FailoverWish,
): ReadonlyMap<string, LineRelation> {
  const { note, lines, remembered } = wish
  return new Map(
    standbysBeside(found, []).map(({ name }) => {
      const from = formerPrimary(wanted, found, { ...wish, to: name })?.name
      const known = from === undefined ? undefined : lines.get(from)
      const line = known ?? (note?.server === from ? remembered : undefined)
      return [name, relationOf(lines.get(name), line)]
    }),
  )
}

/** Whether all that the primary wrote is on a standby's line. */
export function isOnLine(relation: LineRelation | undefined): boolean {
  return relation === 'same' || relation === 'ahead'
}

function refused(problem: Problem): FailoverDecision {
  return { kind: 'refused', problems: [problem] }
}

function stillServes(name: string): Problem {
  return blocker(name, {
    code: 'NOT_READY',
    message: `Will not fail over: "${name}" answers as the primary`,
    hint: 'To change roles in order: backstay switchover.',
  })
}

/** Answers that only a server gives that is well, and may serve others. */
const ALIVE: readonly ErrorCode[] = [
  'POSTGRES_AUTH',
  'POSTGRES_HBA',
  'POSTGRES_TLS',
  'POSTGRES_LIMIT',
]

function refusesUs(found: ClusterFound, server: ServerFound): boolean {
  const isPrimary = isMember(found, server) && isPrimaryLike(server)
  return isPrimary && server.sqlError !== undefined && ALIVE.includes(server.sqlError.code)
}

function isAlive({ name, sqlError }: ServerFound): Problem {
  return blocker(name, {
    code: 'NOT_READY',
    message: `Will not fail over: "${name}" runs as the primary and refuses only us: ${sqlError?.message ?? ''}`,
    hint: 'Run backstay up, or mend what the message names. To give it up all the same, stop it first.',
  })
}

/** Nobody knows which of them it was: `from` would be a guess. */
function anyOf(away: readonly ServerFound[]): Problem {
  return blocker(undefined, {
    code: 'PRIMARY_MISSING',
    message: `Will not fail over: the hosts of ${quotedNames(away.map(({ name }) => name))} do not answer, and any of them may be the primary`,
    hint: 'Mend the way to one of them. Those that are off for good: take them out of the cluster file.',
  })
}

function alsoRuns(rival: string, from: string): Problem {
  return blocker(rival, {
    code: 'SPLIT_BRAIN',
    message: `Will not fail over from "${from}": "${rival}" runs as a primary, too, and does not answer`,
    hint: `Stop "${rival}" first.`,
  })
}

function nobody(to: string | undefined): Problem {
  const who = to === undefined ? 'no standby answers' : `standby "${to}" does not answer`
  return blocker(to, {
    code: 'PRIMARY_MISSING',
    message: `Cannot fail over: ${who}`,
    hint: 'Start the standbys: backstay up; or restore a backup.',
  })
}

function restoring(name: string): Problem {
  return blocker(name, {
    code: 'NOT_READY',
    message: `Cannot fail over to "${name}": it still recovers from a restore, and a promotion now would end it before its target`,
    hint: 'Wait until it has come to its target and is promoted; then run: backstay up',
  })
}

function paused(name: string): Problem {
  return blocker(name, {
    code: 'NOT_READY',
    message: `Cannot fail over to "${name}": its WAL replay is paused`,
    hint: `Run there: SELECT pg_wal_replay_resume(); or name another standby with --to.`,
  })
}

/**
 * The line of the old primary first, then newest timeline, then most WAL. What only stands in the
 * way of an easy life afterwards (few slots, no checksums) does not count on the day the primary is
 * dead.
 */
function choose(
  ranked: readonly Candidate[],
  relations: ReadonlyMap<string, LineRelation>,
  to: string | undefined,
): Candidate | undefined {
  if (to !== undefined) return ranked.find(({ server }) => server === to)
  const isOff = ({ server }: Candidate): number => Number(!isOnLine(relations.get(server)))
  return [...ranked].sort(
    (one, other) =>
      isOff(one) - isOff(other) ||
      other.timeline - one.timeline ||
      Number(other.receivedLsn - one.receivedLsn),
  )[0]
}
