/**
 * A toy world for the planner's property tests: timelines that fork, records with times, backups, WAL with holes; and a model
 * of recovery that replays record by record, byte by byte, without any of the planner's shortcuts.
 */
import * as fc from 'fast-check'
import { type Lsn, toLsn } from '../../../src/postgres/lsn.ts'
import type { TimelineHistory, TimelineSwitch } from '../../../src/postgres/timeline.ts'
import type { BackupId, BackupInfo } from '../../../src/repository/backup-info.ts'
import type { TimelinePath } from '../../../src/restore/timeline-path.ts'
import type { TimedPlace, WalReading, WalSurvey } from '../../../src/restore/record-search.ts'
import type { RestoreTarget } from '../../../src/restore/wish.ts'
import type { ContinuityMap } from '../../../src/wal/continuity.ts'
import type { WalRange } from '../../../src/wal/wal-position.ts'

export const SEGMENT_BYTES = 512
const FIRST_LSN = SEGMENT_BYTES * 3

export interface ToyRecord {
  readonly start: number
  readonly end: number
  readonly kind: 'other' | 'transaction' | 'name'
  readonly timeMs: number
  readonly xid: number
  readonly name: string
}

export interface ToyTimeline {
  readonly timeline: number
  readonly parent: ToyTimeline | undefined
  /** First byte of its own; for timeline 1 the beginning of WAL. */
  readonly fork: number
  /** Its own records, from `fork` on. */
  readonly records: readonly ToyRecord[]
  readonly end: number
  /** Held bytes of its files as [from, to); a file begins with the parent's bytes. */
  readonly held: readonly (readonly [number, number])[]
}

export interface World {
  readonly timelines: readonly ToyTimeline[]
  readonly backups: readonly BackupInfo[]
}

interface Draw {
  (maximum: number): number
}

/** Random numbers that a world is made of: a shorter or smaller list makes a smaller world. */
export const seeds: fc.Arbitrary<number[]> = fc.array(fc.nat({ max: 1_000_000 }), {
  minLength: 20,
  maxLength: 500,
  size: 'max',
})

/** The world that a list of numbers stands for; zeros follow its end. */
export function buildWorld(seed: readonly number[]): World {
  let used = 0
  const draw: Draw = (maximum) => (seed[used++] ?? 0) % (maximum + 1)
  const timelines: ToyTimeline[] = []
  const count = 1 + draw(3)
  for (let timeline = 1; timeline <= count; timeline += 1) {
    timelines.push(buildTimeline(timeline, timelines, draw))
  }
  const backups = Array.from({ length: 1 + draw(3) }, (_, index) =>
    buildBackup(timelines[draw(timelines.length - 1)] as ToyTimeline, index, draw),
  )
  return { timelines, backups: backups.filter((backup) => backup !== undefined) }
}

function buildTimeline(timeline: number, older: readonly ToyTimeline[], draw: Draw): ToyTimeline {
  const parent = older.length === 0 ? undefined : older[draw(older.length - 1)]
  const from = parent?.records[draw(parent.records.length - 1)]
  const fork = from?.end ?? parent?.fork ?? FIRST_LSN
  let timeMs = from?.timeMs ?? 1_000_000
  let at = fork
  const records = Array.from({ length: 3 + draw(25) }, () => {
    const start = at
    at += 8 * (1 + draw(40))
    timeMs += 1000 * draw(2)
    const kind = (['other', 'transaction', 'transaction', 'name'] as const)[draw(3)] ?? 'other'
    return { start, end: at, kind, timeMs, xid: 100 + draw(15), name: `n${draw(4)}` }
  })
  const end = at - draw(1) * 4
  return { timeline, parent, fork, records, end, held: holes([floor(fork), end], draw) }
}

function holes(whole: readonly [number, number], draw: Draw): (readonly [number, number])[] {
  const [from, to] = whole
  if (draw(2) > 0) return [whole]
  const lost = floor(from + draw(to - from))
  const behind = lost + SEGMENT_BYTES * (1 + draw(1))
  return [[from, lost] as const, [behind, to] as const].filter(([a, b]) => a < b)
}

function buildBackup(on: ToyTimeline, index: number, draw: Draw): BackupInfo | undefined {
  const first = draw(on.records.length - 1)
  const last = Math.min(on.records.length - 1, first + draw(4))
  const [start, stop, next] = [on.records[first], on.records[last], on.records[last + 1]]
  if (start === undefined || stop === undefined) return undefined
  const finishedMs = stop.timeMs + Math.floor(((next?.timeMs ?? stop.timeMs) - stop.timeMs) / 2)
  return {
    id: `20260101T00000${index}` as BackupId,
    cluster: 'toy',
    label: null,
    type: 'full',
    method: 'stream',
    reference: null,
    fullBecause: null,
    status: 'done',
    source: { role: 'primary', server: null, host: 'h', port: 1 },
    postgres: {
      systemIdentifier: '1',
      major: 18,
      versionNumber: 180004,
      segmentBytes: SEGMENT_BYTES,
      dataChecksums: true,
    },
    timeline: on.timeline,
    startLsn: lsn(start.start),
    stopLsn: lsn(stop.end),
    startedAt: new Date(start.timeMs).toISOString(),
    finishedAt: new Date(finishedMs).toISOString(),
    tablespaces: [],
    bytes: { database: 1, received: 1, changed: 1, stored: 1 },
    files: 1,
    manifest: { storedBytes: 1, sha256: '' },
    serverManifest: false,
    packs: [],
    badPages: { count: 0, list: [] },
    compression: { codec: 'zstd', level: 1 },
    createdBy: 'test',
  }
}

/** The world's WAL as the planner sees it. */
export function mapOf(world: World): ContinuityMap {
  const histories = world.timelines
    .filter((timeline) => timeline.parent !== undefined)
    .map((timeline): TimelineHistory => ({
      timeline: timeline.timeline,
      switches: switchesOf(timeline),
    }))
  const ranges = world.timelines.map(({ timeline, held }): [number, WalRange[]] => [
    timeline,
    held.map(([from, to]) => ({ timeline, startLsn: lsn(from), endLsn: lsn(to) })),
  ])
  return {
    segmentBytes: SEGMENT_BYTES,
    ranges: new Map(ranges.filter(([, held]) => held.length > 0)),
    histories: new Map(histories.map((history) => [history.timeline, history])),
  }
}

function switchesOf(timeline: ToyTimeline): TimelineSwitch[] {
  const { parent } = timeline
  if (parent === undefined) return []
  const before = switchesOf(parent).filter((entry) => Number(entry.switchLsn) <= timeline.fork)
  return [
    ...before,
    {
      timeline: parent.timeline,
      switchLsn: lsn(timeline.fork),
      reason: 'no recovery target specified',
    },
  ]
}

/** Reads the toy records as wal-reading.ts reads real ones. */
export function readingOf(world: World): WalReading {
  return {
    segmentBytes: SEGMENT_BYTES,
    survey: async (stretch, question) => {
      const records = recordsOn(world, stretch.path).filter(
        ({ start, end }) =>
          start >= Number(stretch.from) &&
          start < Number(stretch.to) &&
          end <= Number(stretch.heldTo),
      )
      const transactions = records.filter((record) => record.kind === 'transaction')
      const times = transactions.map((record) => record.timeMs)
      const match = records.find((record) => {
        if (question?.find === 'record') return true
        if (question?.find === 'transaction') {
          return record.kind === 'transaction' && record.xid === question.xid
        }
        if (question?.find === 'restore-point') {
          return record.kind === 'name' && record.name === question.name
        }
        if (question?.find !== 'time' || record.kind !== 'transaction') return false
        const timeUs = BigInt(record.timeMs) * 1000n
        return timeUs > question.timeUs || (question.orAt && timeUs === question.timeUs)
      })
      return {
        lastRecord: placeOf(records.at(-1)),
        lastTransaction: placeOf(transactions.at(-1)),
        latestTimeUs: times.length === 0 ? undefined : BigInt(Math.max(...times)) * 1000n,
        match: placeOf(match),
      } satisfies WalSurvey
    },
  }
}

function placeOf(record: ToyRecord | undefined): TimedPlace | undefined {
  if (record === undefined) return undefined
  return {
    startLsn: lsn(record.start),
    endLsn: lsn(record.end),
    timeUs: BigInt(record.timeMs) * 1000n,
  }
}

function recordsOn(world: World, path: TimelinePath): ToyRecord[] {
  return path.flatMap((part) => {
    const timeline = world.timelines[part.timeline - 1] as ToyTimeline
    const to = part.to === undefined ? Infinity : Number(part.to)
    return timeline.records.filter(({ start }) => start >= Number(part.from) && start < to)
  })
}

/** What recovery does: where it stops, or undefined when the target cannot be had. */
export function simulate(
  world: World,
  backup: BackupInfo,
  wish: { timeline: number; target: RestoreTarget },
): { stopsAt: number } | undefined {
  const way = wayFrom(world, backup, wish.timeline)
  const stop = Number(backup.stopLsn)
  if (way === undefined) return undefined
  const heldTo = firstMissing(way, Number(backup.startLsn))
  if (heldTo < stop) return undefined
  const { target } = wish
  if (target.type === 'immediate') return { stopsAt: stop }
  if (target.type === 'none') return goesOn(way, heldTo) ? undefined : { stopsAt: heldTo }
  if (isBeforeEnd(target, backup)) return undefined
  const replayed = replay(way, { from: Number(backup.startLsn), heldTo, target })
  if (target.type === 'lsn') {
    const isHeld = Number(target.lsn) >= stop && Number(target.lsn) <= heldTo
    return isHeld ? { stopsAt: replayed.stop?.end ?? replayed.last } : undefined
  }
  if (replayed.stop !== undefined) {
    return replayed.stop.start < stop ? undefined : { stopsAt: replayed.stop.end }
  }
  return isMomentOfLast(target, replayed.lastTimeMs) ? { stopsAt: replayed.last } : undefined
}

function isBeforeEnd(target: RestoreTarget, backup: BackupInfo): boolean {
  return target.type === 'time' && target.timeUs < BigInt(Date.parse(backup.finishedAt)) * 1000n
}

/** The moment of the last transaction held is the end of what is held. */
function isMomentOfLast(target: RestoreTarget, lastTimeMs: number | undefined): boolean {
  if (target.type !== 'time' || lastTimeMs === undefined) return false
  return target.timeUs <= BigInt(lastTimeMs) * 1000n
}

/** The timelines from the backup's to the wanted one, if that descends from the backup. */
function wayFrom(world: World, backup: BackupInfo, timeline: number): ToyTimeline[] | undefined {
  const lineage = lineageOf(world, timeline)
  const own = lineage.findIndex((each) => each.timeline === backup.timeline)
  const child = lineage[own + 1]
  const isLeftTooEarly = child !== undefined && child.fork < Number(backup.stopLsn)
  return own === -1 || isLeftTooEarly ? undefined : lineage.slice(own)
}

function replay(
  way: readonly ToyTimeline[],
  run: { from: number; heldTo: number; target: RestoreTarget },
): { stop: ToyRecord | undefined; last: number; lastTimeMs: number | undefined } {
  let last = run.from
  let lastTimeMs: number | undefined
  for (const [index, timeline] of way.entries()) {
    const to = way[index + 1]?.fork ?? Infinity
    for (const record of timeline.records) {
      if (record.start < run.from || record.start >= to) continue
      if (record.end > run.heldTo) return { stop: undefined, last, lastTimeMs }
      if (stopsAt(record, run.target)) return { stop: record, last, lastTimeMs }
      last = record.end
      if (record.kind === 'transaction') lastTimeMs = record.timeMs
    }
  }
  return { stop: undefined, last, lastTimeMs }
}

function stopsAt(record: ToyRecord, target: RestoreTarget): boolean {
  switch (target.type) {
    case 'time': {
      const timeUs = BigInt(record.timeMs) * 1000n
      if (record.kind !== 'transaction') return false
      return target.inclusive ? timeUs > target.timeUs : timeUs >= target.timeUs
    }
    case 'lsn':
      return BigInt(record.start) >= target.lsn
    case 'xid':
      return record.kind === 'transaction' && record.xid === target.xid
    case 'name':
      return record.kind === 'name' && record.name === target.name
    case 'none':
    case 'immediate':
      break
  }
  return false
}

/** First byte from `from` on that no file of the way holds. */
function firstMissing(way: readonly ToyTimeline[], from: number): number {
  for (let byte = from; ; byte += 1) if (!isHeld(way, byte)) return byte
}

function isHeld(way: readonly ToyTimeline[], byte: number): boolean {
  return way.some((timeline, index) => {
    const next = way[index + 1]
    if (
      byte < (index === 0 ? 0 : floor(timeline.fork)) ||
      (next !== undefined && byte >= next.fork)
    ) {
      return false
    }
    return timeline.held.some(([a, b]) => a <= byte && byte < b)
  })
}

/** Whether WAL is known to exist on the way at or behind `missing`. */
function goesOn(way: readonly ToyTimeline[], missing: number): boolean {
  if (way.slice(1).some((timeline) => timeline.fork >= missing)) return true
  const end = Math.max(...way.map((timeline) => timeline.end))
  for (let byte = missing; byte < end; byte += 1) if (isHeld(way, byte)) return true
  return false
}

function lineageOf(world: World, timeline: number): ToyTimeline[] {
  const found = world.timelines[timeline - 1]
  if (found === undefined) return []
  const lineage = [found]
  for (let fork = found; fork.parent !== undefined; fork = fork.parent) {
    // A parent that itself began after the fork (forked at its very first byte) is passed through without a byte.
    lineage.unshift(fork.parent)
  }
  return lineage
}

function floor(byte: number): number {
  return byte - (byte % SEGMENT_BYTES)
}

function lsn(byte: number): Lsn {
  return toLsn(BigInt(byte))
}
