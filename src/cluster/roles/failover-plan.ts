/**
 * Who a failover goes from and to, what would be lost, and whether that is allowed. Pure.
 */
import type { ErrorCode } from '../../errors/codes.ts'
import { formatLsn, type Lsn } from '../../postgres/lsn.ts'
import { formatSize } from '../../util/size.ts'
import type { ClusterFound, ServerFound } from '../found.ts'
import { findLeader, isMember, isPrimaryLike } from '../plan/leader.ts'
import { blocker, type Problem } from '../plan/problem.ts'
import { isAnswering } from '../replication.ts'
import type { LeaderNote } from '../state/state-directory.ts'
import { type Candidate, candidates } from '../takeover.ts'
import type { ClusterWanted } from '../wanted.ts'
import { isCovered, parseQuorum, reportersOf } from './quorum.ts'
import { type AnsweringMember, standbysBeside } from './switch-plan.ts'

/**
 * How the old primary can be kept from serving: `stopped`: it does not run, and its directory can be marked; `hung`: it runs
 * and does not answer, it can be ended; `gone`: its directory is lost; `unreachable`: nothing can be done to it.
 */
export type Fencing = 'stopped' | 'hung' | 'gone' | 'unreachable'

/** Who takes over from whom. */
export interface FailoverPlan {
  readonly from: ServerFound
  readonly fencing: Fencing
  readonly to: AnsweringMember
  readonly others: readonly AnsweringMember[]
  readonly candidates: readonly Candidate[]
}

/** The plan, or why there is none. */
export type FailoverDecision =
  | { readonly kind: 'failover'; readonly plan: FailoverPlan }
  | { readonly kind: 'refused'; readonly problems: readonly Problem[] }

/** What the decision hangs on besides what was found. */
export interface FailoverWish {
  readonly to: string | undefined
  readonly note: LeaderNote | undefined
}

/** Decides who. */
export function planFailover(
  wanted: ClusterWanted,
  found: ClusterFound,
  wish: FailoverWish,
): FailoverDecision {
  const alive = found.servers.find((server) => isAnswering(server) && !server.sql.inRecovery)
  if (alive !== undefined) return refused(stillServes(alive.name))
  const refusing = found.servers.find((server) => refusesUs(found, server))
  if (refusing !== undefined) return refused(isAlive(refusing))
  const ranked = candidates(wanted, found)
  const standbys = standbysBeside(found, [])
  const chosen = choose(ranked, wish.to)
  const to = standbys.find(({ name }) => name === chosen?.server)
  if (to === undefined) return refused(nobody(wish.to))
  if (to.sql.position.isReplayPaused) return refused(paused(to.name))
  const from = formerPrimary(wanted, found, { note: wish.note, to: to.name })
  const others = standbys.filter(({ name }) => name !== to.name)
  const plan = { from, fencing: fencingOf(found, from), to, others, candidates: ranked }
  return { kind: 'failover', plan }
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

function nobody(to: string | undefined): Problem {
  const who = to === undefined ? 'no standby answers' : `standby "${to}" does not answer`
  return blocker(to, {
    code: 'PRIMARY_MISSING',
    message: `Cannot fail over: ${who}`,
    hint: 'Start the standbys: backstay up; or restore a backup.',
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
 * Newest timeline, then most WAL. What only stands in the way of an easy life afterwards (few slots, no checksums) does not
 * count on the day the primary is dead.
 */
function choose(ranked: readonly Candidate[], to: string | undefined): Candidate | undefined {
  if (to !== undefined) return ranked.find(({ server }) => server === to)
  return [...ranked].sort(
    (one, other) => other.timeline - one.timeline || Number(other.receivedLsn - one.receivedLsn),
  )[0]
}

/** Who was primary: found stopped, else remembered, else as the file says. */
function formerPrimary(
  wanted: ClusterWanted,
  found: ClusterFound,
  hints: { readonly note: LeaderNote | undefined; readonly to: string },
): ServerFound {
  const leader = findLeader(wanted, found)
  if (leader.kind === 'found' && leader.server.name !== hints.to) return leader.server
  const first = wanted.servers.find(({ role }) => role === 'primary')?.name
  const names = [hints.note?.server, first].filter((name) => name !== hints.to)
  const servers = names.map((name) => found.servers.find((server) => server.name === name))
  const known = servers.find((server) => server !== undefined)
  return known ?? (found.servers.find(({ name }) => name !== hints.to) as ServerFound)
}

function fencingOf(found: ClusterFound, from: ServerFound): Fencing {
  if (from.hostError !== undefined || from.directory.state === 'unknown') return 'unreachable'
  if (!isMember(found, from)) return 'gone'
  return from.running === undefined ? 'stopped' : 'hung'
}

/** What is known of the WAL once the old primary can write no more. */
export interface LossFacts {
  readonly plan: FailoverPlan
  /** End of the WAL in the old primary's directory; undefined when it cannot be read. */
  readonly primaryEndLsn: Lsn | undefined
  /** Furthest end of anything that can be handed to the candidate, its own included. */
  readonly reachableEndLsn: Lsn
  /** Names that answered for the WAL they hold: standbys, the backup server. */
  readonly reporters: readonly string[]
  /** synchronous_standby_names as it was in force on the old primary. */
  readonly synchronousNames: string
}

/** What a failover loses. */
export interface Loss {
  /** `none`: proved; `some`: so many bytes of WAL; `unknown`: nobody can say. */
  readonly kind: 'none' | 'some' | 'unknown'
  readonly bytes: number | undefined
  /** One sentence without full stop. */
  readonly text: string
}

/** Judges. */
export function judgeLoss(facts: LossFacts): Loss {
  const { plan, primaryEndLsn, reachableEndLsn } = facts
  const from = plan.from.name
  if (primaryEndLsn !== undefined) {
    if (primaryEndLsn <= reachableEndLsn) {
      return none(
        `the WAL of "${from}" ends at ${formatLsn(primaryEndLsn)}, and all of it is there`,
      )
    }
    const bytes = Number(primaryEndLsn - reachableEndLsn)
    const text = `${formatSize(bytes)} of WAL that "${from}" wrote would be lost`
    return { kind: 'some', bytes, text }
  }
  const quorum = parseQuorum(facts.synchronousNames)
  const there = quorum === undefined ? [] : reportersOf(quorum, facts.reporters)
  if (quorum !== undefined && isCovered(quorum, facts.reporters)) {
    return none(
      `each commit was confirmed by ${quorum.count} of ${quorum.names.length} (${quorum.names.join(', ')}), and ${there.length} of them answer: one of them has it`,
    )
  }
  const rule =
    quorum === undefined
      ? 'its commits did not wait for a standby'
      : `each commit was confirmed by ${quorum.count} of ${quorum.names.length}, but only ${there.length} of them answer`
  return {
    kind: 'unknown',
    bytes: undefined,
    text: `what "${from}" wrote after ${formatLsn(reachableEndLsn)} would be lost, and nobody can say how much that is: ${rule}`,
  }
}

function none(text: string): Loss {
  return { kind: 'none', bytes: 0, text }
}

/** What the operator has said already. */
export interface Consent {
  readonly allowDataLoss: boolean
  /** The old primary is off, or cut off from everybody who writes. */
  readonly primaryIsDead: boolean
}

/** Whether it may be done. Undefined when it may. */
export function forbids(plan: FailoverPlan, loss: Loss, consent: Consent): Problem | undefined {
  const from = plan.from.name
  if (consent.allowDataLoss) return undefined
  if (loss.kind !== 'none') {
    return blocker(from, {
      code: 'DATA_LOSS',
      message: `Will not fail over to "${plan.to.name}": ${loss.text}`,
      hint: `Bring "${from}" back (backstay up), or accept the loss: backstay failover --to ${plan.to.name} --allow-data-loss`,
    })
  }
  if (plan.fencing !== 'unreachable' || consent.primaryIsDead) return undefined
  return blocker(from, {
    code: 'DATA_LOSS',
    message: `Will not fail over to "${plan.to.name}": the host of "${from}" does not answer, so it cannot be stopped, and it may still serve somebody`,
    hint: `Make sure that it is off, or cut off; then: backstay failover --to ${plan.to.name} --primary-is-dead`,
  })
}
