import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { parseLsn, toLsn } from '../../../src/postgres/lsn.ts'
import {
  DEFAULT_SEGMENT_BYTES,
  formatHistoryName,
  formatSegmentName,
  parseSegmentName,
  parseWalFileName,
  segmentOf,
  segmentStart,
} from '../../../src/postgres/segment-name.ts'

const segmentBytes = fc.integer({ min: 20, max: 30 }).map((power) => 2 ** power)
const timeline = fc.integer({ min: 1, max: 0xffff_ffff })
const lsn = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }).map(toLsn)

suite('segment name', () => {
  test('names the segment that holds a position, as pg_walfile_name does', () => {
    const segment = segmentOf(parseLsn('16/B374D848') ?? toLsn(0n), {
      timeline: 3,
      segmentBytes: DEFAULT_SEGMENT_BYTES,
    })
    assert.equal(formatSegmentName(segment, DEFAULT_SEGMENT_BYTES), '0000000300000016000000B3')
  })

  test('any segment of any size survives format and parse', () => {
    fc.assert(
      fc.property(segmentBytes, timeline, lsn, (bytes, tli, position) => {
        const segment = segmentOf(position, { timeline: tli, segmentBytes: bytes })
        const read = parseSegmentName(formatSegmentName(segment, bytes), bytes)
        assert.deepEqual(read, segment)
        const start = segmentStart(segment, bytes)
        assert.ok(start <= position && position < start + BigInt(bytes))
      }),
    )
  })

  test('names of one size sort as their positions do', () => {
    fc.assert(
      fc.property(segmentBytes, lsn, lsn, (bytes, one, other) => {
        const name = (position: typeof one): string =>
          formatSegmentName(segmentOf(position, { timeline: 1, segmentBytes: bytes }), bytes)
        return one > other || name(one) <= name(other)
      }),
    )
  })

  test('a number too high for the segment size is impossible', () => {
    assert.equal(parseSegmentName('000000010000000000000100', DEFAULT_SEGMENT_BYTES), undefined)
    assert.ok(parseSegmentName('0000000100000000000000FF', DEFAULT_SEGMENT_BYTES))
    assert.equal(parseSegmentName('000000010000000000000004', 2 ** 30), undefined)
  })

  test('all kinds of WAL file names are told apart', () => {
    const place = { timeline: 10, high: 11, low: 12 }
    const name = '0000000A0000000B0000000C'
    assert.deepEqual(parseWalFileName(name), { kind: 'segment', ...place })
    assert.deepEqual(parseWalFileName(`${name}.partial`), { kind: 'partial', ...place })
    assert.deepEqual(parseWalFileName(`${name}.00000028.backup`), {
      kind: 'backup',
      ...place,
      offset: 40,
    })
    assert.deepEqual(parseWalFileName('0000000A.history'), { kind: 'history', timeline: 10 })
    assert.equal(formatHistoryName(10), '0000000A.history')
  })

  for (const name of [
    '',
    '0000000a0000000b0000000c',
    '0000000A0000000B0000000C.tmp',
    '0000000A0000000B0000000C.partial2',
    '0000000A0000000B0000000',
    'archive_status',
    'A.history',
    '../0000000A.history',
  ]) {
    test(`"${name}" is foreign`, () => assert.equal(parseWalFileName(name), undefined))
  }
})
