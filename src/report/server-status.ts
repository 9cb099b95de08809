/**
 * One server's line of the status screen, made of what was found. Pure.
 */
import { describeTightDisk } from '../host/full-disk.ts'
import { formatLsn, type Lsn } from '../postgres/lsn.ts'
import type { ClusterFound, FoundError, ServerFound } from '../cluster/found.ts'
import type { SlotFound, SqlFound } from '../cluster/found-sql.ts'
import { findLeader } from '../cluster/leader.ts'
import {
  AHEAD,
  answeringPrimary,
  isAhead,
  isAnswering,
  replicationOf,
  type ReplicationFound,
} from '../cluster/replication.ts'
import type { ClusterWanted } from '../cluster/wanted.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

/** A server's state in one word. */
export type ServerState =
  | 'running'
  | 'streaming'
  | 'detached'
  | 'stopped'
  | 'silent'
  | 'unreachable'
  | 'missing'
  | 'foreign'

/** One line of the status screen. */
export interface ServerStatus {
  readonly name: string
  readonly address: string
  readonly port: number
  /** What it is, not what the file says; undefined while it cannot be told. */
  readonly role: 'primary' | 'standby' | undefined
  readonly wantedRole: 'primary' | 'standby'
  readonly state: ServerState
  /** Why it is not as it should be, in one sentence. */
  readonly reason: string | undefined
  readonly version: string | undefined
  readonly timeline: number | undefined
  /** Written (primary) or replayed (standby): `0/3000060`. */
  readonly lsn: string | undefined
  readonly receiveLagBytes: number | undefined
  readonly replayLagBytes: number | undefined
  readonly replayLagMs: number | undefined
  readonly syncState: string | undefined
  readonly slot: SlotStatus | undefined
  readonly startedAt: string | undefined
  readonly connections: number | undefined
  readonly pendingRestart: readonly string[]
}

/** A slot on the primary. */
export interface SlotStatus {
  readonly name: string
  readonly isActive: boolean
  readonly retainedBytes: number | undefined
  readonly walStatus: string | undefined
  readonly safeBytes: number | undefined
}

/**
 * What `status` says of one server: what was found of it, and what the primary sees of it. Pure.
 */
export function serverStatus(
  wanted: ClusterWanted,
  found: ClusterFound,
  server: ServerFound,
): ServerStatus {
  const wish = wantedServer(wanted, server.name)
  const role = roleOf(wanted, found, server)
  const replication =
    role === 'standby' ? replicationOf(answeringPrimary(found), server) : undefined
  return {
    name: server.name,
    address: wish.address,
    port: server.running?.port ?? wish.port,
    role,
    wantedRole: wish.role,
    ...withDisk(
      server,
      stateOf(server, role, {
        senderState: replication?.sender?.state,
        isAsked: answeringPrimary(found) !== undefined,
        isPassed: isAhead(answeringPrimary(found)?.sql, server),
      }),
    ),
    ...processPart(server.sql),
    timeline: timelineOf(server),
    ...replicationPart(replication),
  }
}

function processPart(
  sql: SqlFound | undefined,
): Pick<ServerStatus, 'version' | 'lsn' | 'startedAt' | 'connections' | 'pendingRestart'> {
  const settings = [...(sql?.settings ?? [])]
  return {
    version: sql?.version,
    lsn: text(sql?.position.current ?? sql?.position.replayed),
    startedAt: sql === undefined ? undefined : new Date(sql.startedAtMs).toISOString(),
    connections: sql?.connections,
    pendingRestart: settings.flatMap(([name, value]) => (value.isPendingRestart ? [name] : [])),
  }
}

function replicationPart(
  replication: ReplicationFound | undefined,
): Pick<ServerStatus, 'receiveLagBytes' | 'replayLagBytes' | 'replayLagMs' | 'syncState' | 'slot'> {
  return {
    receiveLagBytes: replication?.receiveLagBytes,
    replayLagBytes: replication?.replayLagBytes,
    replayLagMs: replication?.replayLagMs,
    syncState: replication?.sender?.syncState,
    slot: replication?.slot === undefined ? undefined : slotStatus(replication.slot),
  }
}

/**
 * pg_control, which answers over SQL for a standby without walreceiver, lags behind the history
 * files.
 */
function timelineOf({ directory, sql }: ServerFound): number | undefined {
  const known = directory.state === 'data' ? directory.timeline : undefined
  return sql === undefined ? known : Math.max(sql.timeline, known ?? 0)
}

function text(lsn: Lsn | undefined): string | undefined {
  return lsn === undefined ? undefined : formatLsn(lsn)
}

function roleOf(
  wanted: ClusterWanted,
  found: ClusterFound,
  server: ServerFound,
): ServerStatus['role'] {
  if (server.sql !== undefined) return server.sql.inRecovery ? 'standby' : 'primary'
  if (server.directory.state !== 'data') return undefined
  const leader = findLeader(wanted, found)
  if (leader.kind === 'found' && leader.server.name === server.name) return 'primary'
  return server.directory.isStandby ? 'standby' : undefined
}

function stateOf(
  server: ServerFound,
  role: ServerStatus['role'],
  primary: {
    readonly senderState: string | undefined
    readonly isAsked: boolean
    readonly isPassed: boolean
  },
): Pick<ServerStatus, 'state' | 'reason'> {
  if (server.hostError !== undefined) return failed('unreachable', server.hostError)
  if (server.directory.state === 'foreign') {
    return { state: 'foreign', reason: server.directory.content }
  }
  if (server.directory.state !== 'data') {
    return { state: 'missing', reason: DIRECTORY_REASONS[server.directory.state] }
  }
  if (server.running === undefined) {
    return { state: 'stopped', reason: `control file says "${server.directory.control.state}"` }
  }
  if (!isAnswering(server)) return failed('silent', server.sqlError)
  if (role === 'primary') return { state: 'running', reason: undefined }
  const { senderState, isAsked } = primary
  if (primary.isPassed) return { state: 'detached', reason: `${AHEAD} on the primary` }
  // With a primary that does not answer us only the standby's word is left.
  const isSent = senderState === 'streaming' || !isAsked
  const isStreaming = isSent && server.sql.receiver?.status === 'streaming'
  return isStreaming
    ? { state: 'streaming', reason: undefined }
    : { state: 'detached', reason: detachedReason(server.sql.receiver?.status, senderState) }
}

type StateTold = Pick<ServerStatus, 'state' | 'reason'>

/** What keeps a server down or behind, where its disk does. */
function withDisk({ tightDisk }: ServerFound, told: StateTold): StateTold {
  if (tightDisk === undefined || told.reason === undefined) return told
  return { ...told, reason: `no room for WAL, ${describeTightDisk(tightDisk)}; ${told.reason}` }
}

const DIRECTORY_REASONS = {
  unknown: 'the directory could not be looked at',
  missing: 'there is no data directory',
  empty: 'the data directory is empty',
  'initdb-unfinished': 'initdb did not finish',
  'clone-unfinished': 'a clone did not finish',
} as const

function detachedReason(receiver: string | undefined, sender: string | undefined): string {
  if (receiver === undefined) return 'its walreceiver does not run'
  return sender === undefined
    ? `its walreceiver is "${receiver}", the primary does not know it`
    : `its walreceiver is "${receiver}", the primary says "${sender}"`
}

function failed(
  state: ServerState,
  error: FoundError | undefined,
): Pick<ServerStatus, 'state' | 'reason'> {
  return { state, reason: error?.message }
}

/** A slot for the screen. */
export function slotStatus(slot: SlotFound): SlotStatus {
  const { name, isActive, retainedBytes, walStatus, safeBytes } = slot
  return { name, isActive, retainedBytes, walStatus, safeBytes }
}
