/**
 * What `status` tells: one plain object about the cluster at one moment. Facts and one verdict; no advice beyond it.
 */
import { formatSize } from '../util/size.ts'
import type { ClusterContext } from './context.ts'
import type { ClusterFound } from './found.ts'
import { lookCluster } from './look/look.ts'
import { findLeader } from './plan/leader.ts'
import { type AnsweringServer, answeringPrimary } from './replication.ts'
import { readJournal, tellUnfinished } from './roles/journal.ts'
import { coversCommits, wayBackOf } from './roles/prospects.ts'
import { serverStatus, type ServerStatus, type SlotStatus, slotStatus } from './server-status.ts'
import { type Candidate, candidates } from './takeover.ts'
import type { ClusterWanted } from './wanted.ts'

/** What the backup side adds; filled by whoever knows it. */
export interface BackupStatus {
  readonly server: string
  readonly lastBackup:
    | { readonly id: string; readonly endedAt: string; readonly status: string }
    | undefined
  readonly receiver:
    | {
        readonly state: string
        readonly flushedLsn: string | undefined
        readonly lagBytes: number | undefined
      }
    | undefined
  /** The moments that can be restored. */
  readonly window: RecoverableWindow | undefined
  readonly problems: readonly string[]
}

/** From the end of the oldest usable backup to the last record that is safe. */
export interface RecoverableWindow {
  readonly from: string
  /** When the backup at `from` ended; ISO 8601 UTC. */
  readonly fromTime: string
  readonly to: string
  /** How long ago the receiver last heard from the server: what was committed since may be missing. */
  readonly ageMs: number | undefined
}

/** Asked for the backup part; its failure must not spoil the rest, so it tells problems instead of throwing. */
export interface BackupStatusProvider {
  backupStatus(found: ClusterFound): Promise<BackupStatus | undefined>
}

/** The whole. */
export interface ClusterStatus {
  readonly cluster: string
  readonly systemIdentifier: string | undefined
  readonly takenAt: string
  readonly primary: string | undefined
  /** `ok`: everything runs and streams; `degraded`: a primary runs; `down`: none does. */
  readonly verdict: 'ok' | 'degraded' | 'down'
  /** Who could take over now and what would be lost, in one sentence. */
  readonly takeover: string
  /** How the primary could follow after a failover, in one sentence; undefined when it cannot be said. */
  readonly wayBack: string | undefined
  /** A change of roles that stopped half-way, and what to do; undefined when there is none. */
  readonly unfinished: string | undefined
  /** Why it cannot be said who is primary: two of them, none, a host that is away; undefined when it can. */
  readonly undecided: string | undefined
  readonly candidates: readonly Omit<Candidate, 'receivedLsn'>[]
  readonly servers: readonly ServerStatus[]
  /** Slots of the primary that are not a standby's: the receiver's, foreign ones. */
  readonly otherSlots: readonly SlotStatus[]
  readonly backup: BackupStatus | undefined
}

/** Looks and tells. */
export async function clusterStatus(
  context: ClusterContext,
  backup?: BackupStatusProvider,
): Promise<ClusterStatus> {
  const found = await lookCluster(context, { forPlan: false })
  const backupPart = await backup?.backupStatus(found)
  const journal = await readJournal(context)
  const leader = findLeader(context.wanted, found)
  return statusOf(context.wanted, found, {
    backup: backupPart,
    takenAt: new Date(context.clock.now()).toISOString(),
    wayBack: leader.kind === 'found' ? await wayBackOf(context, leader.server) : undefined,
    unfinished: journal === undefined ? undefined : tellUnfinished(journal),
  })
}

/** What a status is made of besides the servers. */
export interface StatusParts {
  readonly backup: BackupStatus | undefined
  readonly takenAt: string
  readonly wayBack?: string | undefined
  readonly unfinished?: string | undefined
}

/** The status of a cluster that was looked at. Pure. */
export function statusOf(
  wanted: ClusterWanted,
  found: ClusterFound,
  parts: StatusParts,
): ClusterStatus {
  const primary = answeringPrimary(found)
  const servers = found.servers.map((server) => serverStatus(wanted, found, server))
  const ranked = candidates(wanted, found)
  const slots = (primary?.sql.slots ?? []).map(slotStatus)
  const taken = servers.map((server) => server.slot?.name)
  return {
    cluster: wanted.name,
    systemIdentifier: found.identity?.systemIdentifier,
    takenAt: parts.takenAt,
    primary: primary?.name,
    verdict: verdictOf(primary !== undefined, servers),
    takeover: takeoverSentence(ranked, primary),
    wayBack: parts.wayBack,
    unfinished: parts.unfinished,
    undecided: undecidedText(wanted, found),
    candidates: ranked.map(({ receivedLsn: _lsn, ...candidate }) => candidate),
    servers,
    otherSlots: slots.filter((slot) => !taken.includes(slot.name)),
    backup: parts.backup,
  }
}

function undecidedText(wanted: ClusterWanted, found: ClusterFound): string | undefined {
  const leader = findLeader(wanted, found)
  return leader.kind === 'undecided' ? leader.problems[0]?.message : undefined
}

function verdictOf(
  hasPrimary: boolean,
  servers: readonly ServerStatus[],
): ClusterStatus['verdict'] {
  if (!hasPrimary) return 'down'
  const isWell = servers.every(({ state }) => state === 'running' || state === 'streaming')
  return isWell ? 'ok' : 'degraded'
}

function takeoverSentence(
  ranked: readonly Candidate[],
  primary: AnsweringServer | undefined,
): string {
  const [best] = ranked
  if (best === undefined) return 'No standby could take over: none answers'
  if (best.obstacles.length > 0) {
    return `No standby could take over: "${best.server}": ${best.obstacles.join(', ')}`
  }
  if (primary === undefined) {
    return `"${best.server}" holds the most WAL of those that answer; to see what would be lost: backstay failover --plan`
  }
  const start = `If "${primary.name}" died now, "${best.server}" could take over and`
  if (best.missingBytes === 0) return `${start} nothing would be lost`
  return coversCommits(primary.sql, ranked)
    ? `${start} nothing that was acknowledged would be lost`
    : `${start} ${lossText(best)} of WAL would be lost`
}

function lossText({ missingBytes }: Candidate): string {
  return missingBytes === undefined ? 'an unknown amount' : `up to ${formatSize(missingBytes)}`
}
