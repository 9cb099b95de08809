/** Where the receiver goes on, and when it must not. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { formatLsn, parseLsn, type Lsn } from '../../../src/postgres/lsn.ts'
import { parseTimelineHistory, type TimelineHistory } from '../../../src/postgres/timeline.ts'
import { decideStart, gapsBetween, type StartDecision } from '../../../src/wal/start-position.ts'

const SEGMENT_BYTES = 16 * 1024 * 1024
const lsn = (text: string): Lsn => parseLsn(text) as Lsn
const history = (timeline: number, content = ''): TimelineHistory =>
  parseTimelineHistory(timeline, content) as TimelineHistory

function decide(
  ends: Record<number, string>,
  server: { history: TimelineHistory; flush: string; slot?: string; identifier?: string },
): StartDecision {
  return decideStart(
    {
      systemIdentifier: '7',
      segmentBytes: SEGMENT_BYTES,
      ends: new Map(Object.entries(ends).map(([timeline, end]) => [Number(timeline), lsn(end)])),
    },
    {
      systemIdentifier: server.identifier ?? '7',
      timeline: server.history.timeline,
      flushLsn: lsn(server.flush),
      history: server.history,
      slotRestartLsn: server.slot === undefined ? undefined : lsn(server.slot),
    },
  )
}

function candidates(decision: StartDecision): string[] {
  assert.equal(decision.kind, 'stream')
  return decision.kind === 'stream'
    ? decision.candidates.map((at) => `${at.timeline}:${formatLsn(at.lsn)}`)
    : []
}

function refusal(decision: StartDecision): string {
  return decision.kind === 'refuse' ? `${decision.code}: ${decision.message}` : 'not refused'
}

describe('decideStart', () => {
  it('goes on exactly where what is held ends', () => {
    const decision = decide({ 1: '0/3000148' }, { history: history(1), flush: '0/5000000' })
    assert.equal(candidates(decision)[0], '1:0/3000148')
  })

  it('begins at the segment of the slot when nothing is held', () => {
    const decision = decide({}, { history: history(1), flush: '0/5000060', slot: '0/3000148' })
    assert.deepEqual(candidates(decision), ['1:0/3000000', '1:0/5000000'])
  })

  it('begins at the current segment when there is no slot position either', () => {
    const decision = decide({}, { history: history(1), flush: '0/5000060' })
    assert.deepEqual(candidates(decision), ['1:0/5000000'])
  })

  it('falls back to the slot, never to an earlier position than the one held', () => {
    const behind = decide(
      { 1: '0/3000148' },
      { history: history(1), flush: '0/9000000', slot: '0/7000100' },
    )
    assert.deepEqual(candidates(behind), ['1:0/3000148', '1:0/7000000', '1:0/9000000'])
    const ahead = decide(
      { 1: '0/8000148' },
      { history: history(1), flush: '0/9000000', slot: '0/7000100' },
    )
    assert.deepEqual(candidates(ahead), ['1:0/8000148', '1:0/9000000'])
  })

  it('finishes the old timeline first when whole segments of it are missing', () => {
    const decision = decide(
      { 1: '0/3000148' },
      { history: history(2, '1\t0/5000100\tx\n'), flush: '0/5000200' },
    )
    assert.deepEqual(candidates(decision), ['1:0/3000148', '2:0/5000000'])
  })

  it('moves to the new timeline when only the segment of the switch is missing', () => {
    const decision = decide(
      { 1: '0/5000060' },
      { history: history(2, '1\t0/5000100\tx\n'), flush: '0/5000200' },
    )
    assert.deepEqual(candidates(decision), ['2:0/5000000'])
  })

  it('tells what is held beyond the fork', () => {
    const decision = decide(
      { 1: '0/5000300' },
      { history: history(2, '1\t0/5000100\tx\n'), flush: '0/5000200' },
    )
    assert.deepEqual(candidates(decision), ['2:0/5000000'])
    assert.deepEqual(decision.kind === 'stream' && decision.leftBehind, [
      { timeline: 1, startLsn: lsn('0/5000100'), endLsn: lsn('0/5000300') },
    ])
  })

  it('passes through a timeline of which nothing was ever held', () => {
    const decision = decide(
      { 1: '0/3000148' },
      { history: history(3, '1\t0/5000100\tx\n2\t0/7000100\ty\n'), flush: '0/8000000' },
    )
    assert.deepEqual(candidates(decision), [
      '1:0/3000148',
      '2:0/5000000',
      '3:0/7000000',
      '3:0/8000000',
    ])
  })

  it('follows a sibling branch from the last common timeline', () => {
    const decision = decide(
      { 1: '0/5000000', 2: '0/6000000' },
      { history: history(3, '1\t0/4000100\tx\n'), flush: '0/4000200' },
    )
    assert.deepEqual(candidates(decision), ['3:0/4000000'])
  })

  it('refuses a foreign system identifier', () => {
    const decision = decide({}, { history: history(1), flush: '0/1', identifier: '8' })
    assert.match(refusal(decision), /^POSTGRES_IDENTITY: .*identifier 8, the repository 7/)
  })

  it('refuses a server on a timeline older than one held', () => {
    const decision = decide(
      { 1: '0/3000000', 2: '0/4000000' },
      { history: history(1), flush: '0/9000000' },
    )
    assert.match(refusal(decision), /on timeline 1, but WAL of timeline 2 is held/)
  })

  it('refuses a server whose WAL ends before ours', () => {
    const decision = decide({ 1: '0/3000148' }, { history: history(1), flush: '0/3000140' })
    assert.match(
      refusal(decision),
      /ends at 0\/3000140 on timeline 1, but it is held up to 0\/3000148/,
    )
  })
})

describe('gapsBetween', () => {
  it('is empty when streaming continues', () => {
    const at = { timeline: 1, lsn: lsn('0/3000000') }
    assert.deepEqual(gapsBetween(at, at, history(1)), [])
  })

  it('names the lost part of each timeline on the way', () => {
    const path = history(3, '1\t0/5000100\tx\n2\t0/7000100\ty\n')
    const gaps = gapsBetween(
      { timeline: 1, lsn: lsn('0/3000148') },
      { timeline: 3, lsn: lsn('0/8000000') },
      path,
    )
    assert.deepEqual(gaps, [
      { timeline: 1, startLsn: lsn('0/3000148'), endLsn: lsn('0/5000100') },
      { timeline: 2, startLsn: lsn('0/5000100'), endLsn: lsn('0/7000100') },
      { timeline: 3, startLsn: lsn('0/7000100'), endLsn: lsn('0/8000000') },
    ])
  })

  it("ends at the new timeline's first segment, which holds the old one's bytes up to the switch", () => {
    const gaps = gapsBetween(
      { timeline: 1, lsn: lsn('0/3000148') },
      { timeline: 2, lsn: lsn('0/5000000') },
      history(2, '1\t0/5000100\tx\n'),
    )
    assert.deepEqual(gaps, [{ timeline: 1, startLsn: lsn('0/3000148'), endLsn: lsn('0/5000000') }])
  })
})
