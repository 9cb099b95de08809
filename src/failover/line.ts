/**
 * Which line of timelines a server is on, and how two lines lie to each other. Numbers say little:
 * two servers that were promoted apart both call theirs 2. What counts is where each timeline was
 * left.
 */
import { historyTimelines } from '../host/history-names.ts'
import { SMALL_FILE_BYTES } from '../host/read-limit.ts'
import { posix } from 'node:path'
import { earlierLsn } from '../wal/wal-position.ts'
import { formatLsn, type Lsn } from '../postgres/lsn.ts'
import { formatHistoryName, parseSegmentName, segmentStart } from '../postgres/segment-name.ts'
import {
  isAncestor,
  isLineOf,
  isSameHistory,
  parseTimelineHistory,
  switchPointOf,
  type TimelineHistory,
} from '../postgres/timeline.ts'
import { type ClusterContext, orElse } from '../cluster/context.ts'
import type { ClusterFound, LeaderNote } from '../cluster/found.ts'
import { isMember, type MemberFound } from '../cluster/leader.ts'
import { repositoryThere } from '../cluster/repository-there.ts'
import type { BackupWanted } from '../cluster/wanted.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

/** Where a server is. */
export interface Line {
  readonly timeline: number
  /** Undefined when the file that tells it is not there or not whole. */
  readonly history: TimelineHistory | undefined
  /** What it has at least; undefined for a primary. */
  readonly hasLsn: Lsn | undefined
}

/** Lines by the names of servers; one that could not be looked at is missing. */
export type Lines = ReadonlyMap<string, Line>

/**
 * How a standby lies to the line of the lost primary. `same`: its timeline; `ahead`: one that came
 * from it; `behind`: one that it came from, left by the primary after what the standby has;
 * `apart`: it went another way.
 */
export type LineRelation = 'same' | 'ahead' | 'behind' | 'apart' | 'unknown'

/**
 * How `standby` lies to `primary`, from the histories of their timelines; `unknown` when one of
 * them cannot be told. Pure.
 */
export function relationOf(standby: Line | undefined, primary: Line | undefined): LineRelation {
  if (standby?.history === undefined || primary?.history === undefined) return 'unknown'
  if (isSameHistory(standby.history, primary.history)) return 'same'
  if (isLineOf(standby.history, primary.history)) return 'ahead'
  if (!isLineOf(primary.history, standby.history)) return 'apart'
  const leftLsn = switchPointOf(primary.history, standby.timeline)
  const isBefore = leftLsn !== undefined && (standby.hasLsn ?? 0n) <= leftLsn
  return isBefore ? 'behind' : 'apart'
}

/** For messages: `timeline 2 (from 1 at 0/3000060)`. */
export function describeLine({ timeline, history }: Line): string {
  const last = history?.switches.at(-1)
  if (last === undefined) return `timeline ${timeline}`
  return `timeline ${timeline} (from ${last.timeline} at ${formatLsn(last.switchLsn)})`
}

/** Looks at the lines of all members. */
export async function lookLines(context: ClusterContext, found: ClusterFound): Promise<Lines> {
  const members = found.servers.filter((server) => isMember(found, server))
  const lines = await Promise.all(
    members.map(async (member): Promise<[string, Line][]> => {
      return await orElse(async () => [[member.name, await lineOf(context, member)]], [])
    }),
  )
  return new Map(lines.flat())
}

/**
 * The line of a primary that cannot be looked at: only the number of its timeline is remembered,
 * the history is looked for where it was handed down to. Undefined when that is nowhere.
 */
export async function rememberedLine(
  context: ClusterContext,
  note: LeaderNote,
  lines: Lines,
): Promise<Line | undefined> {
  const { timeline } = note
  const { backup } = context.wanted
  for (const { history } of lines.values()) {
    if (history !== undefined && isAncestor(history, timeline)) {
      const switches = history.switches.filter((each) => each.timeline < timeline)
      return { timeline, history: { timeline, switches }, hasLsn: undefined }
    }
  }
  if (backup === undefined) return undefined
  return await orElse(async () => {
    const history = await readRepositoryHistory(context, backup, timeline)
    return { timeline, history, hasLsn: undefined }
  }, undefined)
}

/** The line of one member. @throws what looking throws. */
export async function lineOf(context: ClusterContext, member: MemberFound): Promise<Line> {
  const { host } = await context.machineOf(wantedServer(context.wanted, member.name))
  const folder = posix.join(wantedServer(context.wanted, member.name).directory, 'pg_wal')
  const names = (await host.list(folder)) ?? []
  const hasLsn = hasOf(member)
  const { control } = member.directory
  const known = Math.max(
    control.checkpoint.timeline,
    control.minRecoveryTimeline,
    member.sql?.timeline ?? 0,
  )
  const { segmentBytes } = control
  const newer = historyTimelines(folder, names).filter((each) => each > known)
  const beginnings = firstSegments(names, segmentBytes)
  for (const timeline of newer.toReversed()) {
    const history = await read(timeline)
    if (history === undefined) return { timeline, history, hasLsn }
    if (isOn(history, { beginnings, hasLsn })) return { timeline, history, hasLsn }
  }
  return { timeline: known, history: await read(known), hasLsn }

  async function read(timeline: number): Promise<TimelineHistory | undefined> {
    if (timeline === 1) return { timeline, switches: [] }
    const text = await host.readFile(
      posix.join(folder, formatHistoryName(timeline)),
      SMALL_FILE_BYTES,
    )
    return text && parseTimelineHistory(timeline, text.toString())
  }
}

/** What a standby has; undefined for what runs, or would start, as a primary. */
function hasOf({ sql, directory }: MemberFound): Lsn | undefined {
  if (sql !== undefined) {
    const { received, replayed } = sql.position
    return sql.inRecovery ? later(received, replayed) : undefined
  }
  // A primary that was marked to start as a standby has never replayed anything.
  const { minRecoveryLsn } = directory.control
  return directory.isStandby && minRecoveryLsn > 0n ? minRecoveryLsn : undefined
}

function later(one: Lsn | undefined, other: Lsn | undefined): Lsn | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return earlierLsn(one, other) === one ? other : one
}

/** Timeline → where its first segment that is there begins. */
function firstSegments(names: readonly string[], segmentBytes: number): ReadonlyMap<number, Lsn> {
  const found = new Map<number, Lsn>()
  for (const name of names) {
    const segment = parseSegmentName(name, segmentBytes)
    if (segment === undefined) continue
    const startLsn = segmentStart(segment, segmentBytes)
    const before = found.get(segment.timeline)
    if (before === undefined || startLsn < before) found.set(segment.timeline, startLsn)
  }
  return found
}

/**
 * Whether a directory with this history file is on that timeline. pg_control learns of it late, and
 * the file may have been fetched for a line that the server cannot go: then there is none of its
 * WAL, or none where the server is.
 */
function isOn(
  { timeline, switches }: TimelineHistory,
  there: {
    readonly beginnings: ReadonlyMap<number, Lsn>
    readonly hasLsn: Lsn | undefined
  },
): boolean {
  const { beginnings, hasLsn } = there
  const begunLsn = switches.at(-1)?.switchLsn ?? 0n
  if (hasLsn !== undefined && hasLsn < begunLsn) return false
  const first = beginnings.get(timeline)
  return first !== undefined && (hasLsn === undefined || first <= hasLsn)
}

/**
 * A timeline's history as the backup server holds it; undefined when it does not.
 * @throws what reading throws.
 */
export async function readRepositoryHistory(
  context: ClusterContext,
  backup: BackupWanted,
  timeline: number,
): Promise<TimelineHistory | undefined> {
  if (timeline === 1) return { timeline, switches: [] }
  const { wal } = await repositoryThere(context, backup)
  const text = await wal.getHistory(timeline)
  return text && parseTimelineHistory(timeline, text.toString())
}
