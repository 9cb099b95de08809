/** The joint between what is held and what comes: another history is refused before a byte is written. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { type Lsn, toLsn } from '../../../src/postgres/lsn.ts'
import { FIRST_IS_CONTRECORD } from '../../../src/postgres/wal-page.ts'
import { JoinCheck } from '../../../src/wal/join-check.ts'

const SEGMENT_BYTES = 1024 * 1024
const PAGE = 8192
const LAST = toLsn(0x3000100n)

/** WAL from `startLsn` on whose first record points back to `backLink`, with page headers where they belong. */
function walFrom(startLsn: Lsn, backLink: Lsn, info = 0): Buffer {
  const record = Buffer.alloc(24)
  record.writeUInt32LE(24, 0)
  record.writeBigUInt64LE(backLink, 8)
  const parts: Buffer[] = []
  let at = Number(startLsn)
  for (let done = 0; done < record.length;) {
    if (at % PAGE === 0) {
      const header = Buffer.alloc(at % SEGMENT_BYTES === 0 ? 40 : 24)
      header.writeUInt16LE(done === 0 ? info : FIRST_IS_CONTRECORD, 2)
      parts.push(header)
      at += header.length
    }
    const piece = record.subarray(done, done + Math.min(record.length - done, PAGE - (at % PAGE)))
    parts.push(piece)
    done += piece.length
    at += piece.length
  }
  return Buffer.concat(parts)
}

function checkAt(startLsn: Lsn, lastRecordLsn: Lsn | undefined = LAST): JoinCheck {
  return new JoinCheck({
    start: { timeline: 1, lsn: startLsn },
    lastRecordLsn,
    segmentBytes: SEGMENT_BYTES,
  })
}

describe('JoinCheck', () => {
  const starts = {
    'inside a page': 0x3000148n,
    'where a page begins': 0x3002000n,
    'where a segment begins': 0x3100000n,
    'right before the end of a page, so that the record is split': 0x3001ff8n,
  }
  for (const [where, lsn] of Object.entries(starts)) {
    it(`lets WAL through that continues ours ${where}, in pieces of any size`, () => {
      const bytes = walFrom(toLsn(lsn), LAST)
      fc.assert(
        fc.property(fc.integer({ min: 1, max: bytes.length }), (size) => {
          const check = checkAt(toLsn(lsn))
          for (let at = 0; at < bytes.length; at += size) check.push(bytes.subarray(at, at + size))
          assert.ok(check.isJoined)
        }),
      )
    })

    it(`refuses WAL of another history ${where}`, () => {
      const check = checkAt(toLsn(lsn))
      assert.throws(
        () => check.push(walFrom(toLsn(lsn), toLsn(0x30000c0n))),
        (error) => isBackstayError(error, 'POSTGRES_IDENTITY') && /0\/30000C0/.test(error.message),
      )
    })
  }

  it('holds acknowledgements back until the back link has been seen', () => {
    const check = checkAt(toLsn(0x3000148n))
    check.push(walFrom(toLsn(0x3000148n), LAST).subarray(0, 15))
    assert.equal(check.isJoined, false)
  })

  it('lets a segment through that begins inside a record', () => {
    const check = checkAt(toLsn(0x3100000n))
    check.push(walFrom(toLsn(0x3100000n), toLsn(0x1n), FIRST_IS_CONTRECORD))
    assert.ok(check.isJoined)
  })

  it('lets everything through when nothing is held', () => {
    assert.ok(
      new JoinCheck({
        start: { timeline: 1, lsn: LAST },
        lastRecordLsn: undefined,
        segmentBytes: SEGMENT_BYTES,
      }).isJoined,
    )
  })
})
