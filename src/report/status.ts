/**
 * What `status` tells: one plain object about the cluster at one moment. Facts and one verdict; no
 * advice beyond it.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { formatSize } from '../util/size.ts'
import type { ClusterContext } from '../cluster/context.ts'
import type { ClusterFound } from '../cluster/found.ts'
import { lookCluster } from '../cluster/look/look.ts'
import { findLeader } from '../cluster/leader.ts'
import { type AnsweringServer, answeringPrimary } from '../cluster/replication.ts'
import { readJournal, tellUnfinished } from '../cluster/journal.ts'
import { lostSlots } from '../failover/lost-slots.ts'
import { coversCommits, wayBackOf } from '../failover/prospects.ts'
import { serverStatus, type ServerStatus, type SlotStatus, slotStatus } from './server-status.ts'
import { type Candidate, candidates } from '../cluster/takeover.ts'
import type { ClusterWanted } from '../cluster/wanted.ts'

/** What the backup side adds; filled by whoever knows it. */
export interface BackupSideStatus {
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
  readonly window: WindowStatus | undefined
  /** When the service takes the next backup by its schedule, if it runs; ISO 8601 UTC. */
  readonly nextBackupAt?: string | undefined
  /**
   * What starts `backstay serve` where the backup server is this machine: its unit, unless somebody
   * else started it; the problem is among `problems`. Left out for another machine.
   */
  readonly service?: { readonly unit: string | undefined; readonly problem: string | undefined }
  readonly problems: readonly string[]
  /**
   * Work of the schedule that failed and was not done since; a sentence each, which is among
   * `problems`. Left out by earlier versions.
   */
  readonly failedJobs?: readonly string[]
  /**
   * Damaged pages in the newest backup, and a sentence among `problems` when there are some. Left
   * out by earlier versions.
   */
  readonly badPages?: { readonly count: number; readonly problem: string | undefined }
  /**
   * What is known to be damaged in the repository; a sentence each, which is among `problems`. Left
   * out by earlier versions.
   */
  readonly damage?: readonly string[]
}

/** From the end of the oldest usable backup to the last record that is safe. */
export interface WindowStatus {
  readonly from: string
  /** When the backup at `from` ended; ISO 8601 UTC. */
  readonly fromTime: string
  readonly to: string
  /**
   * When the last record before `to` was written, about; ISO 8601 UTC. Left out when that cannot be
   * told.
   */
  readonly toTime?: string | undefined
  /**
   * How long ago the receiver last heard from the server: what was committed since may be missing.
   */
  readonly ageMs: number | undefined
}

/**
 * Tells the backup part; its failure must not spoil the rest, so it tells problems instead of
 * throwing.
 */
export type AskBackup = (context: ClusterContext) => Promise<BackupSideStatus | undefined>

/**
 * A cluster's state at one moment, as `backstay status --json` prints it. Times are ISO 8601 UTC.
 */
export interface ClusterStatus {
  readonly cluster: string
  readonly systemIdentifier: string | undefined
  readonly takenAt: string
  readonly primary: string | undefined
  /**
   * Who was primary when a command last left the cluster in order; for the day when none answers.
   */
  readonly lastPrimary: string | undefined
  /**
   * `ok`: everything runs and streams, no change of roles is half-way, the backup part has no
   * problem; `degraded`: a primary runs; `down`: none does.
   */
  readonly verdict: 'ok' | 'degraded' | 'down'
  /** Who could take over now and what would be lost, in one sentence. */
  readonly takeover: string
  /**
   * How the primary could follow after a failover, in one sentence; undefined when it cannot be
   * said.
   */
  readonly wayBack: string | undefined
  /** A change of roles that stopped half-way, and what to do; undefined when there is none. */
  readonly unfinished: string | undefined
  /**
   * Why it cannot be said who is primary: two of them, none, a host that is away; undefined when it
   * can.
   */
  readonly undecided: string | undefined
  readonly candidates: readonly Omit<Candidate, 'receivedLsn'>[]
  readonly servers: readonly ServerStatus[]
  /** Slots of the primary that are not a standby's: the receiver's, foreign ones. */
  readonly otherSlots: readonly SlotStatus[]
  /**
   * What a switchover or failover to the best candidate would take from readers of logical slots,
   * one sentence each.
   */
  readonly slotsAtRisk: readonly string[]
  readonly backup: BackupSideStatus | undefined
}

/**
 * Looks at the whole cluster and says how it is. A server that does not answer is part of the
 * answer; the backup side is told where `askBackup` is given.
 * @throws NOT_READY when data is there and nothing is known of it here
 */
export async function clusterStatus(
  context: ClusterContext,
  askBackup?: AskBackup,
): Promise<ClusterStatus> {
  const found = await lookCluster(context, { forPlan: false })
  refuseUnknown(context, found)
  const backupPart = await askBackup?.(context)
  const journal = await readJournal(context)
  const leader = findLeader(context.wanted, found)
  return statusOf(context.wanted, found, {
    backup: backupPart,
    takenAt: new Date(context.clock.now()).toISOString(),
    wayBack: leader.kind === 'found' ? await wayBackOf(context, leader.server) : undefined,
    unfinished: journal === undefined ? undefined : tellUnfinished(journal),
  })
}

/**
 * Without the passwords nothing answers: that it is down would be said of a cluster that may well
 * serve.
 */
function refuseUnknown({ wanted, state }: ClusterContext, found: ClusterFound): void {
  if (found.identity !== undefined) return
  const there = found.servers.filter(({ directory }) => directory.state === 'data')
  if (there.length === 0) return
  const names = there.map(({ name }) => `"${name}"`).join(', ')
  throw new BackstayError(
    'NOT_READY',
    `Cannot say how cluster "${wanted.name}" is: ${names} hold${there.length === 1 ? 's' : ''} data, and "${state.path}" on this machine does not know them`,
    {
      hint: 'When Backstay built it from another machine, or the state directory is lost: backstay join. When Backstay did not build it: backstay adopt.',
    },
  )
}

/** What a status is made of besides the servers. */
export interface StatusParts {
  readonly backup: BackupSideStatus | undefined
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
    lastPrimary: found.lastPrimary?.server,
    verdict: verdictOf(primary !== undefined, servers, {
      unfinished: parts.unfinished,
      undecided: undecidedText(wanted, found),
      backup: parts.backup?.problems[0],
    }),
    takeover: takeoverSentence(ranked, primary),
    wayBack: parts.wayBack,
    unfinished: parts.unfinished,
    undecided: undecidedText(wanted, found),
    candidates: ranked.map(({ receivedLsn: _lsn, ...candidate }) => candidate),
    servers,
    otherSlots: slots.filter((slot) => !taken.includes(slot.name)),
    slotsAtRisk: slotsAtRisk(found, primary, ranked[0]),
    backup: parts.backup,
  }
}

function slotsAtRisk(
  found: ClusterFound,
  primary: AnsweringServer | undefined,
  best: Candidate | undefined,
): readonly string[] {
  const to = found.servers.find(({ name }) => name === best?.server)
  if (primary === undefined || to?.sql === undefined) return []
  return lostSlots(primary.sql.slots, to.sql.slots).map(
    ({ name }) =>
      `Logical slot "${name}" is not on "${to.name}": after a change of roles its reader cannot go on`,
  )
}

function undecidedText(wanted: ClusterWanted, found: ClusterFound): string | undefined {
  const leader = findLeader(wanted, found)
  return leader.kind === 'undecided' ? leader.problems[0]?.message : undefined
}

function verdictOf(
  hasPrimary: boolean,
  servers: readonly ServerStatus[],
  troubles: Readonly<Record<'unfinished' | 'undecided' | 'backup', string | undefined>>,
): ClusterStatus['verdict'] {
  if (!hasPrimary) return 'down'
  const isWell = servers.every(({ state }) => state === 'running' || state === 'streaming')
  const isQuiet = Object.values(troubles).every((trouble) => trouble === undefined)
  return isWell && isQuiet ? 'ok' : 'degraded'
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
    ? `${start} no commit that waited for a standby would be lost`
    : `${start} ${lossText(best)} of WAL would be lost`
}

function lossText({ missingBytes }: Candidate): string {
  return missingBytes === undefined ? 'an unknown amount' : `up to ${formatSize(missingBytes)}`
}
