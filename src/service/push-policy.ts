/**
 * What a database server may push through the gate. Its key lies on the machine most likely to be
 * broken into, a standby's as well as the primary's: what it brings must continue the history that
 * is known, where the primary really is. Pure; docs/adr/0073.
 */
import { addBytes, formatLsn, type Lsn } from '../postgres/lsn.ts'
import {
  formatHistoryName,
  parseSegmentName,
  segmentStart,
  type WalFileName,
} from '../postgres/segment-name.ts'
import { parseTimelineHistory, type TimelineHistory } from '../postgres/timeline.ts'
import { type ContinuityMap, historyOf } from '../wal/continuity.ts'
import { greatest } from '../util/greatest.ts'

/** No history file and no backup-history file of PostgreSQL is longer. */
const TEXT_BYTES_MAX = 64 * 1024
/** Promotions elsewhere (a restored copy) take numbers too; thousands of them do not. */
const TIMELINES_AHEAD_MAX = 64
/** How far beyond what is held a push may be when the primary could not be asked where it is. */
const SEGMENTS_AHEAD_MAX = 1024

/** The primary as it said itself. */
export interface PrimarySeen {
  /** Its name in the cluster file. */
  readonly server: string
  readonly timeline: number
  readonly flushLsn: Lsn
}

/**
 * A timeline has one unfinished last segment, and a backup of the primary begins with a segment of
 * its own.
 */
const BESIDE_MAX = { partial: 4, backup: 64 } as const

/** What a push is judged by. */
export interface PushGround {
  readonly map: ContinuityMap
  /** Undefined when no primary could be asked. */
  readonly primary: PrimarySeen | undefined
  /** Timelines whose history came while no primary answered: nothing follows from it. */
  readonly provisional?: ReadonlySet<number>
}

/** Bytes a file of this kind has, or has at most. */
export function sizeRefusal(
  file: WalFileName,
  sizeBytes: number,
  segmentBytes: number,
): string | undefined {
  if (file.kind === 'segment' || file.kind === 'partial') {
    return sizeBytes === segmentBytes
      ? undefined
      : `${sizeBytes} bytes were announced, segments of this cluster have ${segmentBytes}`
  }
  return sizeBytes <= TEXT_BYTES_MAX
    ? undefined
    : `${sizeBytes} bytes were announced, such a file has at most ${TEXT_BYTES_MAX}`
}

/** Why the named file may not come, whatever is in it; undefined when it may. */
export function nameRefusal(
  name: string,
  file: WalFileName,
  ground: PushGround,
): string | undefined {
  const { map, primary } = ground
  const known = knownTimelines(map)
  if (primary !== undefined && file.timeline > primary.timeline) {
    return `the primary "${primary.server}" is on timeline ${primary.timeline}`
  }
  if (file.kind === 'partial' && file.timeline === primary?.timeline) {
    return `the primary "${primary.server}" is on timeline ${primary.timeline}, which has no last segment yet`
  }
  if (file.kind === 'history') return numberRefusal(file.timeline, ground)
  const isKnown = file.timeline === 1 || known.size === 0 || known.has(file.timeline)
  if (!isKnown && primary?.timeline !== file.timeline) {
    return `timeline ${file.timeline} is not known: its history file comes first`
  }
  const segment = parseSegmentName(name.slice(0, 24), map.segmentBytes)
  if (segment === undefined) return 'its name is impossible for the segment size'
  return aheadRefusal(segmentStart(segment, map.segmentBytes), file.timeline, ground)
}

/** What came while nobody could be asked must not raise the bound of what comes next. */
function numberRefusal(timeline: number, ground: PushGround): string | undefined {
  const known = knownTimelines(ground.map)
  const highest = greatest(ground.primary === undefined ? provedTimelines(ground) : known, 0)
  return known.size === 0 || timeline <= highest + TIMELINES_AHEAD_MAX
    ? undefined
    : `timeline ${timeline} is far beyond the newest that is known, ${highest}`
}

/**
 * Why one more file of this kind may not come beside a segment; undefined when it may. Other
 * content of a partial segment and another number of a backup-history file are other objects:
 * nothing else bounds them. `beside`: the objects in the segment's folder.
 */
export function crowdRefusal(
  name: string,
  kind: keyof typeof BESIDE_MAX,
  beside: readonly string[],
): string | undefined {
  const most = BESIDE_MAX[kind]
  const segment = name.slice(0, 24)
  const alike = beside.filter(
    (object) => object.startsWith(`${segment}.`) && object.endsWith(`.${kind}.zst`),
  )
  if (alike.length < most || alike.includes(`${name}.zst`)) return undefined
  return `there are ${alike.length} ${kind} files of that segment already`
}

/**
 * Where the primary's WAL has to reach for this file to be plausible; undefined when its name does
 * not say.
 */
export function reachOf(name: string, file: WalFileName, segmentBytes: number): Lsn | undefined {
  const segment =
    file.kind === 'history' ? undefined : parseSegmentName(name.slice(0, 24), segmentBytes)
  return segment && segmentStart(segment, segmentBytes)
}

/** Why a history file may not come; undefined when it continues what is known. */
export function historyRefusal(
  timeline: number,
  content: Buffer,
  ground: PushGround,
): string | undefined {
  const history = parseTimelineHistory(timeline, content.toString())
  const last = history?.switches.at(-1)
  if (history === undefined || last === undefined) return 'it is no timeline history'
  const { map, primary, provisional } = ground
  const known = knownTimelines(map)
  if (known.size === 0) return undefined
  const isJudged = primary !== undefined && provisional?.has(last.timeline) === true
  if (isJudged) return aheadRefusal(last.switchLsn, last.timeline, ground)
  if (last.timeline !== 1 && !known.has(last.timeline)) {
    return `it continues timeline ${last.timeline}, of which nothing is known`
  }
  const parent = historyOf(map, last.timeline)
  if (parent !== undefined && !continues(history, parent)) {
    return `it tells another story of timeline ${last.timeline} than ${formatHistoryName(last.timeline)}, which is held`
  }
  return aheadRefusal(last.switchLsn, last.timeline, ground)
}

function continues(history: TimelineHistory, parent: TimelineHistory): boolean {
  return isSame(parent.switches, history.switches.slice(0, -1))
}

function isSame(one: TimelineHistory['switches'], other: TimelineHistory['switches']): boolean {
  return (
    one.length === other.length &&
    one.every(({ timeline, switchLsn }, index) => {
      const its = other[index]
      return its?.timeline === timeline && its.switchLsn === switchLsn
    })
  )
}

/**
 * The primary's own word is the bound; without it what is held, and room for a server that was away
 * for long.
 */
function aheadRefusal(
  lsn: Lsn,
  timeline: number,
  { map, primary }: PushGround,
): string | undefined {
  if (primary !== undefined) {
    return lsn <= primary.flushLsn
      ? undefined
      : `${formatLsn(lsn)} lies beyond the WAL of the primary "${primary.server}", which ends at ${formatLsn(primary.flushLsn)}`
  }
  const ends = [...map.ranges.values()].flatMap((ranges) => ranges.at(-1)?.endLsn ?? [])
  const end = ends.reduce<Lsn | undefined>((a, b) => (a === undefined || b > a ? b : a), undefined)
  if (end === undefined) return undefined
  return lsn <= addBytes(end, SEGMENTS_AHEAD_MAX * map.segmentBytes)
    ? undefined
    : `${formatLsn(lsn)} on timeline ${timeline} lies far beyond all WAL that is held, which ends at ${formatLsn(end)}`
}

/**
 * Of the timelines a provisional history tells of; those where the primary's history, which
 * `history` is, tells something else.
 */
export function contradicted(
  history: TimelineHistory,
  { map, provisional = new Set() }: PushGround,
): { readonly wrong: readonly number[]; readonly right: readonly number[] } {
  const told = history.switches.flatMap(({ timeline }, index) => {
    const held = map.histories.get(timeline)
    if (held === undefined || !provisional.has(timeline)) return []
    return [{ timeline, isRight: isSame(held.switches, history.switches.slice(0, index)) }]
  })
  const pick = (isRight: boolean): number[] =>
    told.filter((one) => one.isRight === isRight).map(({ timeline }) => timeline)
  return { wrong: pick(false), right: pick(true) }
}

function provedTimelines({ map, provisional = new Set() }: PushGround): ReadonlySet<number> {
  const proved = <T>(held: ReadonlyMap<number, T>): Map<number, T> =>
    new Map([...held].filter(([timeline]) => !provisional.has(timeline)))
  return knownTimelines({ ...map, histories: proved(map.histories), ranges: proved(map.ranges) })
}

function knownTimelines(map: ContinuityMap): ReadonlySet<number> {
  const parents = [...map.histories.values()].flatMap(({ switches }) =>
    switches.map(({ timeline }) => timeline),
  )
  return new Set([...map.histories.keys(), ...map.ranges.keys(), ...parents])
}
