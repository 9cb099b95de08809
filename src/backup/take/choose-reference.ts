/**
 * Decides which older backup a new one builds on, and how changed pages are found. Pure.
 *
 * A wrong reference would put old pages into a new backup without anybody noticing, so every doubt
 * means a full backup.
 */
import { formatLsn, type Lsn } from '../../postgres/lsn.ts'
import { isAncestor, switchPointOf, type TimelineHistory } from '../../postgres/timeline.ts'
import {
  type BackupInfo,
  type CataloguedBackup,
  hasTruePages,
} from '../../repository/backup-info.ts'
import { PAGE_BYTES } from '../../repository/format.ts'
import { segmentFloor, type WalRange } from '../../wal/wal-position.ts'
import { describeDamage, type KnownDamage } from '../known-damage.ts'
import type { BackedUpServer } from './backed-up-server.ts'

/** A backup of everything. */
export interface FullChoice {
  readonly type: 'full'
  /** Why not less, when a backup is there; null when the operator asked for it or there is none. */
  readonly because: string | null
}

/** A backup of what changed since `reference`. */
export interface ChangedPagesChoice {
  readonly type: 'changed-pages'
  readonly reference: BackupInfo
  /** To be tried in this order. */
  readonly methods: readonly ['incremental', 'page-lsn'] | readonly ['page-lsn']
  /** WAL that must be held without a gap, else a full is taken. */
  readonly wal: readonly WalRange[]
}

/** What kind of backup is taken. */
export type ReferenceChoice = FullChoice | ChangedPagesChoice

/** A full backup, and why, or one of changed pages. `backups`: newest first. Pure. */
export function chooseReference(
  backups: readonly CataloguedBackup[],
  server: BackedUpServer,
  wish: { readonly full: boolean; readonly damage?: KnownDamage },
): ReferenceChoice {
  const [newest] = backups
  if (wish.full || newest === undefined) return { type: 'full', because: null }
  if (server.blockBytes !== PAGE_BYTES) {
    return { type: 'full', because: `the server's pages have ${server.blockBytes} bytes` }
  }
  const usable = backups.find(({ info }) => whyNot(info, server) === undefined)
  if (usable === undefined) return { type: 'full', because: whyNot(newest.info, server) ?? null }
  const reference = usable.info
  const damage = whyNotWhole(reference, wish.damage)
  if (damage !== undefined) return { type: 'full', because: damage }
  return {
    type: 'changed-pages',
    reference,
    methods: methodsFor(reference, server),
    wal: walBetween(reference, server),
  }
}

/**
 * What is pointed at would be as damaged in the new backup. An older backup is no way out: where
 * one pack was damaged, others of that age may be, and a whole new backup is needed more than ever.
 */
function whyNotWhole({ id }: BackupInfo, known: KnownDamage | undefined): string | undefined {
  const damage = known?.get(id)
  return damage === undefined || damage.isOnlyWal ? undefined : describeDamage(id, damage)
}

/** Why a backup cannot be the reference; undefined when it can. */
function whyNot(info: BackupInfo, server: BackedUpServer): string | undefined {
  const { history, timeline, flushLsn } = server
  if (info.postgres.systemIdentifier !== server.systemIdentifier) {
    return `backup ${info.id} is of system identifier ${info.postgres.systemIdentifier}`
  }
  if (info.postgres.dataChecksums !== server.dataChecksums) {
    const [was, is] = server.dataChecksums ? ['off', 'on'] : ['on', 'off']
    return `data checksums were ${was} in backup ${info.id} and are ${is}`
  }
  if (!isAncestor(history, info.timeline)) {
    return `timeline ${info.timeline} of backup ${info.id} is not in the history of timeline ${timeline}`
  }
  const leftAt = switchPointOf(history, info.timeline)
  if (leftAt !== undefined && leftAt < info.stopLsn) {
    return `backup ${info.id} ended at ${formatLsn(info.stopLsn)}, after timeline ${info.timeline} was left at ${formatLsn(leftAt)}`
  }
  if (flushLsn < info.stopLsn) {
    return `the server is at ${formatLsn(flushLsn)}, before the end of backup ${info.id} at ${formatLsn(info.stopLsn)}: was it restored to an older state?`
  }
  return undefined
}

/**
 * The server's own choice of blocks is not trusted over a timeline change, where servers are known
 * to miss blocks, nor on top of bad pages or stale visibility maps, which it would not send again.
 */
function methodsFor(reference: BackupInfo, server: BackedUpServer): ChangedPagesChoice['methods'] {
  const isOnLine = reference.timeline === server.timeline
  const isTrusted = isOnLine && hasTruePages(reference) && reference.badPages.count === 0
  return server.summarizesWal && isTrusted ? ['incremental', 'page-lsn'] : ['page-lsn']
}

/**
 * The way from the reference's start to the server's last finished segment, timeline by timeline.
 */
function walBetween(reference: BackupInfo, server: BackedUpServer): WalRange[] {
  const { segmentBytes } = server
  const ranges: WalRange[] = []
  let startLsn = segmentFloor(reference.startLsn, segmentBytes)
  for (const { timeline, endLsn } of timelinesFrom(reference.timeline, server.history)) {
    const end = segmentFloor(endLsn ?? server.flushLsn, segmentBytes)
    if (startLsn < end) ranges.push({ timeline, startLsn, endLsn: end })
    startLsn = end > startLsn ? end : startLsn
  }
  return ranges
}

function timelinesFrom(
  first: number,
  history: TimelineHistory,
): { timeline: number; endLsn: Lsn | undefined }[] {
  const left = history.switches
    .filter((entry) => entry.timeline >= first)
    .map((entry) => ({ timeline: entry.timeline, endLsn: entry.switchLsn }))
  return [...left, { timeline: history.timeline, endLsn: undefined }]
}
