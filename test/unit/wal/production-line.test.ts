/** Which line production is on, of what is held and what was recorded. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isBehind } from '../../../src/failover/histories.ts'
import { toLsn } from '../../../src/postgres/lsn.ts'
import type { TimelineHistory } from '../../../src/postgres/timeline.ts'
import { claimCluster } from '../../../src/repository/cluster-repository.ts'
import {
  type LineRecord,
  nextRecord,
  readLines,
  recordLine,
} from '../../../src/repository/line-records.ts'
import { MemoryStore } from '../../harness/memory-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { loadLines } from '../../../src/wal/load-lines.ts'
import { buildContinuityMap, type ContinuityMap } from '../../../src/wal/continuity.ts'
import { forkOf, mayBeProduction, productionLines } from '../../../src/wal/production-line.ts'

const SEGMENT_BYTES = 16 * 1024 * 1024
const at = (segment: number, bytes = 0) => toLsn(BigInt(segment * SEGMENT_BYTES + bytes))

/** `left`: the ancestors, oldest first, each with where it was left. */
function line(timeline: number, ...left: readonly (readonly [number, number])[]): TimelineHistory {
  const switches = left.map(([parent, segment]) => ({
    timeline: parent,
    switchLsn: at(segment, 100),
    reason: '',
  }))
  return { timeline, switches }
}

/** Each timeline with the first byte it does not hold, as segment and bytes. */
function held(ends: Record<number, number>, ...histories: TimelineHistory[]): ContinuityMap {
  const tails = Object.entries(ends).map(([timeline, segment]) => ({
    timeline: Number(timeline),
    startLsn: at(1),
    endLsn: at(segment, 100),
  }))
  return buildContinuityMap({ segmentBytes: SEGMENT_BYTES, segments: [], tails, histories })
}

const record = (timeline: number, ...known: number[]): LineRecord => ({
  timeline,
  known,
  recordedAt: '2026-11-22T12:00:00.000Z',
  by: 'receiver',
})

function current(
  map: ContinuityMap,
  records: readonly LineRecord[],
  dead: readonly number[] = [],
): readonly number[] {
  const known = [...new Set([...map.ranges.keys(), ...map.histories.keys()])]
  const lines = productionLines(map, known, { records, abandoned: new Set(dead) })
  return lines.current.map(({ timeline }) => timeline)
}

describe('the line production is on', () => {
  const switched = held({ 1: 5, 2: 8 }, line(2, [1, 5]))
  const stray = held({ 1: 8, 2: 6 }, line(2, [1, 5]))

  it('is the continuation of a line that ended where the next began', () => {
    assert.deepEqual(current(switched, []), [2])
    assert.deepEqual(current(switched, [record(1, 1)]), [2])
  })

  it('is where it was recorded although a branch has a higher number', () => {
    assert.deepEqual(current(stray, [record(1, 1, 2)]), [1])
  })

  it('cannot be told when a branch came after the last record and both went on', () => {
    assert.deepEqual(current(stray, [record(1, 1)]), [2, 1])
    assert.deepEqual(current(stray, []), [2, 1])
  })

  it('is what is left when a branch was declared dead', () => {
    assert.deepEqual(current(stray, [], [2]), [1])
    assert.deepEqual(current(stray, [record(1, 1), record(2, 1, 2)], [2]), [1])
  })

  it('goes on from a branch point by a second promotion', () => {
    const twice = held({ 1: 8, 2: 6, 3: 9 }, line(2, [1, 5]), line(3, [1, 8]))
    assert.deepEqual(current(twice, [record(1, 1, 2)]), [3])
  })
})

describe('the lines of a repository without records', () => {
  it('are told by the newest backup, and asked where a timeline came after it', async () => {
    const server = { systemIdentifier: '7', major: 18, segmentBytes: SEGMENT_BYTES }
    const store = new MemoryStore()
    const cluster = await claimCluster({ store, name: 'shop', server, clock: systemClock })
    // Timeline 1 went on behind the fork: a failover that lost something, or a stray promotion.
    const map = held({ 1: 8, 2: 6 }, line(2, [1, 5]))
    const lines = async (...timelines: number[]) => {
      const backups = timelines.map((timeline, index) => ({
        id: `2026112${index}T000000`,
        timeline,
      }))
      const { current } = await loadLines(cluster, map, backups)
      return current.map(({ timeline }) => timeline)
    }
    assert.deepEqual(await lines(), [2, 1])
    assert.deepEqual(await lines(1), [2, 1])
    assert.deepEqual(await lines(1, 2), [2])
    await recordLine(cluster, { timeline: 1, known: [1, 2], by: 'receiver' })
    assert.deepEqual(await lines(1, 2), [1])
  })

  it('are told by the other records when one is damaged', async () => {
    const server = { systemIdentifier: '7', major: 18, segmentBytes: SEGMENT_BYTES }
    const store = new MemoryStore()
    const cluster = await claimCluster({ store, name: 'shop', server, clock: systemClock })
    await recordLine(cluster, { timeline: 1, known: [1, 2], by: 'receiver' })
    await store.put(`${cluster.names.lines}/20991231T000000000-00000002.json`, Buffer.from('{}'))
    assert.deepEqual(
      (await readLines(cluster)).records.map(({ timeline }) => timeline),
      [1],
    )
  })
})

describe('a primary', () => {
  const lines = (...records: LineRecord[]) => ({ records, abandoned: new Set<number>() })

  it('is production where it was seen last, after it, and on a new number', () => {
    assert.equal(mayBeProduction(line(1), lines(record(1, 1, 2))), true)
    assert.equal(mayBeProduction(line(3, [1, 5]), lines(record(1, 1, 2))), true)
    assert.equal(mayBeProduction(line(3, [1, 5]), lines(record(2, 1, 2))), true)
    assert.equal(mayBeProduction(line(1), lines()), undefined)
  })

  it('is none from before a promotion, and on a dead line', () => {
    assert.equal(mayBeProduction(line(1), lines(record(2, 1, 2))), false)
    const dead = { records: [record(1, 1)], abandoned: new Set([2]) }
    assert.equal(mayBeProduction(line(2, [1, 5]), dead), false)
    const back = { records: [record(1, 1), record(2, 1, 2)], abandoned: new Set([2]) }
    assert.equal(mayBeProduction(line(1), back), true)
  })
})

describe('a record', () => {
  it('is written when it says something new, later than the one before', () => {
    const last = record(1, 1)
    const by = 'receiver'
    assert.equal(nextRecord(last, { timeline: 1, known: [1], by }, 0), undefined)
    const next = nextRecord(last, { timeline: 1, known: [2], by }, 0)
    assert.deepEqual(next?.known, [1, 2])
    assert.equal(next?.recordedAt, '2026-11-22T12:00:00.001Z')
  })
})

describe('a history shown to a candidate', () => {
  const at5 = { timeline: 1, lsn: at(5, 100) }

  it('is one it passed, or of no line it could be drawn onto', () => {
    assert.ok(isBehind(line(2, [1, 4]), at5))
    assert.ok(isBehind(line(2, [1, 5]), at5))
    assert.ok(!isBehind(line(2, [1, 6]), at5))
    assert.ok(isBehind(line(2, [1, 6]), { timeline: 3, lsn: at(5) }))
  })
})

describe('two lines', () => {
  it('part where the first of them leaves the other', () => {
    assert.equal(forkOf(line(3, [1, 5]), line(2, [1, 4])), at(4, 100))
    assert.equal(forkOf(line(2, [1, 4]), line(1)), at(4, 100))
    assert.equal(forkOf(line(2, [1, 4]), line(3, [1, 4], [2, 7])), at(7, 100))
    assert.equal(forkOf(line(1), line(1)), undefined)
  })
})
