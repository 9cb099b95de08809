/**
 * Decides which backups and which WAL are no longer needed. Pure: nothing is deleted here.
 *
 * A backup goes only when every policy given lets it go. WAL goes only when no backup that stays
 * could be rolled forward through it.
 */
import { addBytes } from '../postgres/lsn.ts'
import { type Segment, segmentStart } from '../postgres/segment-name.ts'
import type { TimelineHistory } from '../postgres/timeline.ts'
import type { BackupId, CataloguedBackup } from '../repository/backup-info.ts'
import type { WalPartial } from '../repository/wal-objects.ts'
import { rangeByName } from '../wal/load-continuity.ts'
import { leadsTo, neededBy, type WalNeed } from '../wal/needed-wal.ts'
import type { ProductionLines } from '../wal/production-line.ts'

/** How long backups stay. Without window and count nothing expires. */
export interface RetentionPolicy {
  /** Every moment of the last so many milliseconds can be restored. */
  readonly windowMs: number | undefined
  /** So many backups stay. */
  readonly count: number | undefined
  /** So many good backups stay whatever the rest says; at least 1. */
  readonly minimum: number
}

/** A backup and what becomes of it. */
export interface JudgedBackup {
  readonly id: BackupId
  /** For people, as the end of the sentence «it stays because …» or «it goes because …». */
  readonly because: string
}

/** What is known when retention is planned. */
export interface RetentionFacts {
  /** Newest first. */
  readonly backups: readonly CataloguedBackup[]
  /** Backups that a restore or verification reads at the moment. */
  readonly inUse: ReadonlySet<string>
  readonly segments: readonly Segment[]
  /** Beginnings of segments. Default none. */
  readonly partials?: readonly WalPartial[]
  /** Histories held; timeline 1 needs none. */
  readonly histories: readonly TimelineHistory[]
  readonly segmentBytes: number
  readonly nowMs: number
  /**
   * The lines production is and was on. Left out when nobody knows: every backup counts as one of
   * production then.
   */
  readonly lines?: ProductionLines
  /**
   * Backups that cannot be restored: WAL of their own is not held, or they are known to be damaged.
   * Default none.
   */
  readonly unusable?: ReadonlySet<string>
  /**
   * Backups of which it is not known: damage was found in what they share with others. Default
   * none.
   */
  readonly doubtful?: ReadonlySet<string>
}

/** What goes and what stays, and why. */
export interface ExpiryPlan {
  readonly expire: readonly JudgedBackup[]
  readonly stay: readonly JudgedBackup[]
  /** Segments no staying backup needs. */
  readonly segments: readonly Segment[]
  readonly partials: readonly WalPartial[]
  /** What stays, as something that needs WAL. */
  readonly needs: readonly WalNeed[]
}

/**
 * What `policy` lets go and what stays, each with its reason, and the WAL that none of what stays
 * needs. Pure.
 */
export function planExpiry(facts: RetentionFacts, policy: RetentionPolicy): ExpiryPlan {
  const staying = stayingBackups(facts, policy)
  return {
    expire: facts.backups
      .filter((backup) => !staying.has(backup))
      .map(({ info }) => ({ id: info.id, because: describePolicy(policy) })),
    stay: [...staying].map(([{ info }, because]) => ({ id: info.id, because })),
    ...unneededWal([...staying], facts),
  }
}

/**
 * Plans the deletion of given backups; the others stay whatever the policy says, which tells only
 * how much WAL each needs. The caller has made sure that they may go.
 */
export function planDeletion(
  facts: RetentionFacts,
  ids: ReadonlySet<string>,
  policy: RetentionPolicy,
): ExpiryPlan {
  const others = facts.backups.filter(({ info }) => !ids.has(info.id))
  const reasons = stayingBackups({ ...facts, backups: others }, policy)
  return {
    expire: facts.backups
      .filter(({ info }) => ids.has(info.id))
      .map(({ info }) => ({ id: info.id, because: 'it was named' })),
    stay: others.map(({ info }) => ({ id: info.id, because: 'it was not named' })),
    ...unneededWal(
      others.map((backup) => [backup, reasons.get(backup) ?? 'it was not named']),
      facts,
    ),
  }
}

const KEPT = 'an operator keeps it'

type Reasons = ReadonlyMap<CataloguedBackup, string>

function stayingBackups(facts: RetentionFacts, policy: RetentionPolicy): Reasons {
  const required = [
    byMinimum(facts, policy),
    policy.windowMs === undefined && policy.count === undefined
      ? new Map(facts.backups.map((backup) => [backup, 'no window and no count is set']))
      : new Map<CataloguedBackup, string>(),
    byCount(facts, policy),
    byWindow(facts, policy),
    reasonFor(
      facts.backups.filter(({ info }) => facts.inUse.has(info.id)),
      'it is being read',
    ),
    // Last, because it is the only reason that does not keep the WAL after the backup.
    reasonFor(
      facts.backups.filter(({ keep }) => keep !== undefined),
      KEPT,
    ),
  ]
  return new Map(
    facts.backups.flatMap((backup) => {
      const because = required.map((reasons) => reasons.get(backup)).find((one) => one)
      return because === undefined ? [] : [[backup, because] as const]
    }),
  )
}

function reasonFor(backups: readonly CataloguedBackup[], because: string): Reasons {
  return new Map(backups.map((backup) => [backup, because]))
}

/** For each line production may be on, the backups that can be rolled forward along it. */
function backupsOfLines({ backups, lines }: RetentionFacts): readonly CataloguedBackup[][] {
  if (lines === undefined || lines.current.length === 0) return [[...backups]]
  return lines.current.map((line) => backups.filter(({ info }) => leadsTo(info, line)))
}

/**
 * Whether nothing is known against a backup: no bad page, its own WAL held, everything of the size
 * it must have, no damage found.
 */
function isGood(backup: CataloguedBackup, facts: RetentionFacts): boolean {
  return rankOf(backup, facts) === RANKS.good
}

/** What a backup is worth, the best first. */
export const RANKS = { good: 0, doubtful: 1, badPages: 2, unusable: 3 } as const

/** Of a backup by what is known of it. */
export function rankOf({ info }: CataloguedBackup, facts: RetentionFacts): number {
  if (facts.unusable?.has(info.id) === true) return RANKS.unusable
  if (info.status !== 'done') return RANKS.badPages
  return facts.doubtful?.has(info.id) === true ? RANKS.doubtful : RANKS.good
}

/**
 * The last good ones of the line production is on; without any the best that there are. Where none
 * of the line can be restored, the best of the repository stay as well: they are all that is left.
 */
function byMinimum(facts: RetentionFacts, policy: RetentionPolicy): Reasons {
  const minimum = Math.max(1, policy.minimum)
  const isUsable = (backup: CataloguedBackup): boolean => rankOf(backup, facts) < RANKS.unusable
  return joined(
    backupsOfLines(facts).flatMap((onLine) => {
      const good = onLine.filter((backup) => isGood(backup, facts)).slice(0, minimum)
      const because = `it is one of the newest ${minimum} good ones (minimum)`
      if (good.length > 0) return [reasonFor(good, because)]
      const best = bestFirst(onLine, facts).slice(0, minimum)
      const others = onLine.some(isUsable) ? [] : bestFirst(facts.backups, facts).slice(0, minimum)
      return [reasonFor([...best, ...others], 'there is no good one')]
    }),
  )
}

function bestFirst(
  backups: readonly CataloguedBackup[],
  facts: RetentionFacts,
): readonly CataloguedBackup[] {
  return backups.toSorted((one, other) => rankOf(one, facts) - rankOf(other, facts))
}

/**
 * The newest, and besides them so many good ones of the line: neither bad ones nor those of a dead
 * branch push these out.
 */
function byCount(facts: RetentionFacts, { count }: RetentionPolicy): Reasons {
  if (count === undefined) return new Map()
  const good = backupsOfLines(facts).flatMap((onLine) =>
    onLine.filter((backup) => isGood(backup, facts)).slice(0, count),
  )
  return reasonFor([...facts.backups.slice(0, count), ...good], `it is one of the newest ${count}`)
}

/**
 * The window needs, besides the backups in it, for each line that production was on in it the
 * newest good one that was finished before it began.
 */
function byWindow(facts: RetentionFacts, { windowMs }: RetentionPolicy): Reasons {
  if (windowMs === undefined) return new Map()
  const beginsMs = facts.nowMs - windowMs
  const { backups } = facts
  const isBefore = ({ info }: CataloguedBackup): boolean => Date.parse(info.finishedAt) <= beginsMs
  const past = (facts.lines?.past ?? [])
    .filter(({ leftAtMs }) => leftAtMs > beginsMs)
    .map(({ history }) => backups.filter(({ info }) => leadsTo(info, history)))
  const bases = [...backupsOfLines(facts), ...past].map((onLine) => {
    const first = onLine.findIndex((backup) => isBefore(backup) && isGood(backup, facts))
    const from = first === -1 ? onLine : onLine.slice(0, first + 1)
    return reasonFor(from, 'the beginning of the window is restored from it')
  })
  const inside = backups.filter((backup) => !isBefore(backup))
  return joined([reasonFor(inside, 'it lies in the window'), ...bases])
}

/** The first map that has a backup gives its reason. */
function joined(maps: readonly Reasons[]): Reasons {
  return new Map(maps.toReversed().flatMap((map) => [...map]))
}

function describePolicy({ windowMs, count }: RetentionPolicy): string {
  const days = windowMs === undefined ? undefined : `the window of ${windowMs / 86_400_000} d`
  const newest = count === undefined ? undefined : `the newest ${count}`
  return `it is outside of ${[days, newest].filter((part) => part !== undefined).join(' and of ')}`
}

/** WAL that nobody needs. */
function unneededWal(
  staying: readonly (readonly [CataloguedBackup, string])[],
  facts: RetentionFacts,
): Pick<ExpiryPlan, 'segments' | 'partials' | 'needs'> {
  const { segmentBytes, histories } = facts
  const needs = staying.map(([{ info, keep }, because]) => ({
    timeline: info.timeline,
    startLsn: info.startLsn,
    stopLsn: info.stopLsn,
    onlyItself: because === KEPT && keep?.target === 'standalone',
  }))
  const isNeeded = neededBy(needs, { histories, segmentBytes, lines: facts.lines?.current })
  return {
    segments: facts.segments.filter((segment) => {
      const startLsn = segmentStart(segment, segmentBytes)
      const endLsn = addBytes(startLsn, segmentBytes)
      return !isNeeded({ timeline: segment.timeline, startLsn, endLsn })
    }),
    partials: (facts.partials ?? []).filter((partial) => {
      const range = rangeByName(partial, segmentBytes)
      return range !== undefined && !isNeeded(range)
    }),
    needs,
  }
}
