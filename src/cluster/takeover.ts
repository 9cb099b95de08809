/**
 * Whether a standby could take over if the primary died now, what would be lost, and what stands in
 * the way. Pure.
 */
import type { ClusterFound, ServerFound } from './found.ts'
import type { SqlFound } from './found-sql.ts'
import { STANDBY_FLOOR_SETTINGS } from './settings.ts'
import { slotsWanted } from './wanted-slots.ts'
import {
  AHEAD,
  type AnsweringServer,
  answeringPrimary,
  isAhead,
  isAnswering,
  replicationOf,
} from './replication.ts'
import type { ClusterWanted } from './wanted.ts'

/** One standby as a candidate. */
export interface Candidate {
  readonly server: string
  /** Empty when it could take over at once. */
  readonly obstacles: readonly string[]
  /** WAL of the primary it does not have; undefined when the primary cannot be asked. */
  readonly missingBytes: number | undefined
  readonly timeline: number
  /** What it has, for comparing candidates while the primary is away. */
  readonly receivedLsn: bigint
}

/**
 * All standbys that answer, the best first: no obstacles, newest timeline, most WAL, order of the
 * file.
 */
export function candidates(wanted: ClusterWanted, found: ClusterFound): readonly Candidate[] {
  const primary = answeringPrimary(found)
  return found.servers
    .filter(isAnswering)
    .filter((server) => server.sql.inRecovery)
    .map((server) => candidate(wanted, server, primary))
    .sort(
      (one, other) =>
        Math.sign(one.obstacles.length) - Math.sign(other.obstacles.length) ||
        other.timeline - one.timeline ||
        Number(other.receivedLsn - one.receivedLsn),
    )
}

function candidate(
  wanted: ClusterWanted,
  server: AnsweringServer,
  primary: AnsweringServer | undefined,
): Candidate {
  const { position } = server.sql
  return {
    server: server.name,
    obstacles: obstaclesOf(wanted, server, primary),
    missingBytes:
      primary === undefined ? undefined : replicationOf(primary, server).receiveLagBytes,
    timeline: timelineOf(server),
    receivedLsn: newest(position.received, position.replayed),
  }
}

/** pg_control lags behind the walreceiver, and that one is gone together with the primary. */
export function timelineOf({ sql, directory }: AnsweringServer): number {
  return Math.max(sql.timeline, directory.state === 'data' ? directory.timeline : 0)
}

function newest(one: bigint | undefined, other: bigint | undefined): bigint {
  const [first, second] = [one ?? 0n, other ?? 0n]
  return first > second ? first : second
}

function obstaclesOf(
  wanted: ClusterWanted,
  server: AnsweringServer,
  primary: AnsweringServer | undefined,
): readonly string[] {
  const { sql } = server
  const obstacles: string[] = []
  if (sql.position.isReplayPaused) obstacles.push('WAL replay is paused')
  const delay = sql.settings.get('recovery_min_apply_delay')?.value ?? '0'
  if (delay !== '0') {
    obstacles.push(`it is kept behind on purpose (recovery_min_apply_delay = ${delay} ms)`)
  }
  if (isRestoring(server)) obstacles.push('it recovers from a restore and follows nobody yet')
  if (primary !== undefined && sql.receiver?.status !== 'streaming') {
    obstacles.push('it does not stream')
  }
  if (isAhead(primary?.sql, server)) obstacles.push(`${AHEAD} on the primary`)
  for (const name of lowerSettings(sql, primary?.sql)) {
    obstacles.push(`${name} is lower than on the primary`)
  }
  const there = sql.slots.map(({ name }) => name)
  const needed = slotsWanted(wanted, server.name).filter(({ name }) => !there.includes(name)).length
  const free = numberOf(sql, 'max_replication_slots') - there.length
  if (free < needed) obstacles.push(`it has ${free} free replication slots, ${needed} are needed`)
  if (!canBeRewound(server)) {
    obstacles.push('neither checksums nor wal_log_hints: the old primary could not be rewound')
  }
  return obstacles
}

/**
 * Whether a server is in recovery only until it has come to its target: it is not marked to be a
 * standby.
 */
export function isRestoring({ sql, directory }: ServerFound): boolean {
  return sql?.inRecovery === true && directory.state === 'data' && !directory.isStandby
}

/** Settings that are lower on a standby than on its primary. */
export function lowerSettings(standby: SqlFound, primary: SqlFound | undefined): readonly string[] {
  if (primary === undefined) return []
  return STANDBY_FLOOR_SETTINGS.filter((name) => numberOf(standby, name) < numberOf(primary, name))
}

function canBeRewound(server: ServerFound): boolean {
  const hints = server.sql?.settings.get('wal_log_hints')?.value === 'on'
  const hasChecksums =
    server.directory.state === 'data' && server.directory.control.dataChecksumVersion > 0
  return hints || hasChecksums
}

function numberOf(sql: SqlFound, name: string): number {
  return Number(sql.settings.get(name)?.value ?? 0)
}
