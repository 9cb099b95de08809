/** What the name of a pushed file alone decides. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseLsn, type Lsn } from '../../../src/postgres/lsn.ts'
import {
  parseSegmentName,
  parseWalFileName,
  type Segment,
} from '../../../src/postgres/segment-name.ts'
import { parseTimelineHistory, type TimelineHistory } from '../../../src/postgres/timeline.ts'
import { crowdRefusal, nameRefusal, reachOf } from '../../../src/service/push-policy.ts'
import { buildContinuityMap } from '../../../src/wal/continuity.ts'

const SEGMENT_BYTES = 16 * 1024 * 1024
const lsn = (text: string): Lsn => parseLsn(text) as Lsn
const segment = (name: string): Segment => parseSegmentName(name, SEGMENT_BYTES) as Segment

const map = buildContinuityMap({
  segmentBytes: SEGMENT_BYTES,
  segments: ['000000010000000000000003', '000000020000000000000004'].map(segment),
  tails: [],
  histories: [parseTimelineHistory(2, '1\t0/4000100\tx\n') as TimelineHistory],
})
const primary = { server: 'db2', timeline: 2, flushLsn: lsn('0/6000000') }

function refusal(name: string): string | undefined {
  const file = parseWalFileName(name)
  assert.ok(file !== undefined)
  return nameRefusal(name, file, { map, primary })
}

describe('nameRefusal', () => {
  it('takes an unfinished last segment of a timeline that was left, not of the one the primary is on', () => {
    assert.equal(refusal('000000010000000000000004.partial'), undefined)
    assert.match(
      String(refusal('000000020000000000000005.partial')),
      /"db2" is on timeline 2, which has no last segment yet/,
    )
  })

  it('takes segments up to where the primary says its WAL ends', () => {
    assert.equal(refusal('000000020000000000000006'), undefined)
    assert.match(String(refusal('000000020000000000000007')), /ends at 0\/6000000/)
    assert.match(String(refusal('000000030000000000000004')), /is on timeline 2/)
  })
})

describe('reachOf', () => {
  it('is where the segment begins; a history file does not say', () => {
    const of = (name: string): Lsn | undefined => {
      const file = parseWalFileName(name)
      return file && reachOf(name, file, SEGMENT_BYTES)
    }
    assert.equal(of('000000010000000000000004'), lsn('0/4000000'))
    assert.equal(of('000000010000000000000004.00000028.backup'), lsn('0/4000000'))
    assert.equal(of('00000002.history'), undefined)
  })
})

describe('crowdRefusal', () => {
  it('counts the files of one kind beside one segment', () => {
    const name = '000000010000000000000004'
    const partials = [1, 2, 3, 4].map(
      (number) => `${name}.0000000${number}-00000000000000AA.partial.zst`,
    )
    assert.equal(crowdRefusal(`${name}.partial`, 'partial', partials.slice(1)), undefined)
    assert.match(String(crowdRefusal(`${name}.partial`, 'partial', partials)), /4 partial files/)
    const next = '000000010000000000000005'
    assert.equal(crowdRefusal(`${next}.partial`, 'partial', partials), undefined)
    assert.equal(crowdRefusal(`${name}.00000028.backup`, 'backup', partials), undefined)
  })
})
