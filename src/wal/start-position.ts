/**
 * Where the receiver goes on, or why it must not: a pure decision from what is held and what the
 * server says.
 */
import type { ErrorCode } from '../errors/codes.ts'
import { formatLsn, type Lsn } from '../postgres/lsn.ts'
import {
  isAncestor,
  switchPointOf,
  type TimelineHistory,
  timelineOf,
} from '../postgres/timeline.ts'
import type { LineRecords } from '../repository/line-records.ts'
import { lastRecord, mayBeProduction } from './production-line.ts'
import {
  describePosition,
  earlierLsn,
  segmentFloor,
  type WalPosition,
  type WalRange,
} from './wal-position.ts'
import { greatest } from '../util/greatest.ts'

/** What the server said of itself. */
export interface ServerFacts {
  readonly systemIdentifier: string
  readonly timeline: number
  /** Last byte it has flushed (on a standby: received or replayed). */
  readonly flushLsn: Lsn
  /** The ancestry of `timeline`. */
  readonly history: TimelineHistory
  /** Where our slot would let us begin; undefined when it is not known. */
  readonly slotRestartLsn: Lsn | undefined
}

/** What is held here. */
export interface HeldFacts {
  readonly systemIdentifier: string
  readonly segmentBytes: number
  /** For each timeline of which something is held: the position after the last byte. */
  readonly ends: ReadonlyMap<number, Lsn>
  /** Where production was seen; left out when that is not recorded. */
  readonly lines?: LineRecords
}

/** From where to stream, or why not: then nothing of the server's WAL is taken. */
export type StartDecision =
  | {
      readonly kind: 'stream'
      /**
       * Positions to try, in order: the first continues without a hole, each later one is only for
       * the case that the server has lost the WAL at the one before, and leaves a gap.
       */
      readonly candidates: readonly [WalPosition, ...WalPosition[]]
      /**
       * Whether the first candidate continues something; otherwise beginning later than there loses
       * nothing.
       */
      readonly continues: boolean
      /**
       * Held of an older timeline beyond the point where the server's history left it: kept, but
       * not part of this history.
       */
      readonly leftBehind: readonly WalRange[]
    }
  | {
      readonly kind: 'refuse'
      readonly code: ErrorCode
      readonly message: string
      readonly hint?: string
    }

/**
 * Decides where to start. Refused are a foreign system identifier, a line that production has left
 * (a former primary that came back, or a restored copy) or that was declared dead and a server
 * whose WAL ends before ours on the same timeline (restored to an older state).
 */
export function decideStart(held: HeldFacts, server: ServerFacts): StartDecision {
  const refusal = refuse(held, server)
  if (refusal !== undefined) return refusal
  const onPath = [...held.ends].filter(([timeline]) => isAncestor(server.history, timeline))
  const newest = onPath.sort(([a], [b]) => b - a)[0]
  const fresh = freshPositions(held, server)
  const first =
    newest === undefined
      ? fresh[0]
      : skipToTimeline({ timeline: newest[0], lsn: newest[1] }, held, server)
  const beginnings = newest === undefined ? [] : timelineBeginnings(held, server)
  const later = [...beginnings, ...fresh].filter(
    (position) => position.lsn > first.lsn && position.timeline >= first.timeline,
  )
  later.sort((a, b) => a.timeline - b.timeline || Number(a.lsn - b.lsn))
  const distinct = later.filter((position, index) => position.lsn !== later[index - 1]?.lsn)
  return {
    kind: 'stream',
    candidates: [first, ...distinct],
    continues: newest !== undefined,
    leftBehind: beyondFork(onPath, server),
  }
}

function refuse(held: HeldFacts, server: ServerFacts): StartDecision | undefined {
  if (server.systemIdentifier !== held.systemIdentifier) {
    return deny(
      `the server has system identifier ${server.systemIdentifier}, the repository ${held.systemIdentifier}`,
    )
  }
  const left = refuseLine(held, server)
  if (left !== undefined) return left
  const end = held.ends.get(server.timeline)
  if (end === undefined || end <= server.flushLsn) return undefined
  return deny(
    `the server's WAL ends at ${describePosition({ timeline: server.timeline, lsn: server.flushLsn })}, but it is held up to ${formatLsn(end)}: the server was restored to an older state`,
  )
}

function deny(message: string, hint?: string): StartDecision {
  const refusal = { kind: 'refuse', code: 'POSTGRES_IDENTITY' } as const
  const text = `Cannot receive WAL: ${message}`
  return { ...refusal, message: text, ...(hint === undefined ? {} : { hint }) }
}

/**
 * Refuses a line production is not on. Where nothing is recorded, the newest timeline held is taken
 * for the living one.
 */
function refuseLine(held: HeldFacts, { history }: ServerFacts): StartDecision | undefined {
  const { timeline } = history
  const lines = held.lines ?? { records: [], abandoned: new Set() }
  if (lines.abandoned.has(timeline)) {
    const revive = `Run \`backstay timeline abandon ${timeline} --undo\` if production is on it.`
    return deny(`the server is on timeline ${timeline}, which was declared dead`, revive)
  }
  const may = mayBeProduction(history, lines)
  const alive = [...held.ends.keys()].filter((one) => !lines.abandoned.has(one))
  const newest = may === undefined ? greatest(alive, 0) : lastRecord(lines)?.timeline
  if (newest === undefined || may === true || (may === undefined && newest <= timeline)) {
    return undefined
  }
  return deny(
    `the server is on timeline ${timeline}, but WAL of timeline ${newest} is held already`,
    `If timeline ${newest} is a branch that production is not on, say so: \`backstay timeline abandon ${newest}\`; see \`backstay timeline list\`.`,
  )
}

/**
 * Where a receiver begins that holds nothing: at the slot's WAL, else at the current segment, which
 * is always there.
 */
function freshPositions(held: HeldFacts, server: ServerFacts): [WalPosition, ...WalPosition[]] {
  const at = (lsn: Lsn): WalPosition => {
    const floor = segmentFloor(lsn, held.segmentBytes)
    return skipToTimeline({ timeline: timelineOf(server.history, floor), lsn: floor }, held, server)
  }
  return [at(server.slotRestartLsn ?? server.flushLsn), at(server.flushLsn)]
}

/**
 * The segment that holds a switch is received whole from the newer timeline, which begins with a
 * copy of the older one's bytes; recovery reads it there too. So a position in or after that
 * segment moves to the newer timeline.
 */
function skipToTimeline(start: WalPosition, held: HeldFacts, server: ServerFacts): WalPosition {
  let position = start
  for (;;) {
    const switchLsn = switchPointOf(server.history, position.timeline)
    if (switchLsn === undefined) return position
    const floor = segmentFloor(switchLsn, held.segmentBytes)
    if (position.lsn < floor) return position
    position = { timeline: timelineOf(server.history, switchLsn), lsn: floor }
  }
}

/** The first segment of each timeline of the server's history after the first. */
function timelineBeginnings(held: HeldFacts, server: ServerFacts): WalPosition[] {
  return server.history.switches.map(({ switchLsn }) => ({
    timeline: timelineOf(server.history, switchLsn),
    lsn: segmentFloor(switchLsn, held.segmentBytes),
  }))
}

function beyondFork(onPath: readonly [number, Lsn][], server: ServerFacts): WalRange[] {
  return onPath.flatMap(([timeline, endLsn]) => {
    const startLsn = switchPointOf(server.history, timeline)
    return startLsn !== undefined && endLsn > startLsn ? [{ timeline, startLsn, endLsn }] : []
  })
}

/**
 * The ranges lost when streaming begins at `start` although `wanted` would have continued: one for
 * each timeline touched.
 */
export function gapsBetween(
  wanted: WalPosition,
  start: WalPosition,
  history: TimelineHistory,
): readonly WalRange[] {
  const gaps: WalRange[] = []
  let { timeline, lsn } = wanted
  while (timeline !== start.timeline) {
    const switchLsn = switchPointOf(history, timeline)
    if (switchLsn === undefined) break
    const endLsn = earlierLsn(switchLsn, start.lsn)
    if (endLsn > lsn) gaps.push({ timeline, startLsn: lsn, endLsn })
    lsn = switchLsn
    timeline = timelineOf(history, switchLsn)
  }
  if (start.lsn > lsn) gaps.push({ timeline, startLsn: lsn, endLsn: start.lsn })
  return gaps
}
