/** Whole segments of real servers are right, each bit of a record that is wrong is found, and segments are joined record by record. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import * as fc from 'fast-check'
import {
  type ChainExpectation,
  checkSegment,
  type NamedSegment,
  scannerAfter,
  SegmentChain,
} from '../../../src/postgres/segment-chain.ts'
import type { Lsn } from '../../../src/postgres/lsn.ts'
import { parseSegmentName, type Segment, segmentStart } from '../../../src/postgres/segment-name.ts'
import { parseTimelineHistory } from '../../../src/postgres/timeline.ts'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { JoinCheck } from '../../../src/wal/join-check.ts'
import { beginsInsideRecord } from '../../../src/wal/wal-end.ts'
import { matrixMajors, startPostgres, type TestServer } from '../../harness/postgres.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { cloneStandby, LOAD, promote, switchWal } from '../wal/support.ts'

const SEGMENT_BYTES = 1024 * 1024
const EXPECTED: ChainExpectation = {
  segmentBytes: SEGMENT_BYTES,
  history: { timeline: 1, switches: [] },
}

/** Finished segments of a timeline (8 hex digits) in pg_wal up to `last`, without one that was only made ahead. */
function segmentsOf(pg: TestServer, timeline: string, last: string): NamedSegment[] {
  const folder = join(pg.directory, 'pg_wal')
  return readdirSync(folder)
    .filter((name) => /^[0-9A-F]{24}$/.test(name) && name.startsWith(timeline) && name <= last)
    .sort()
    .map((name) => ({ name, content: readFileSync(join(folder, name)) }))
}

const startOf = ({ name }: NamedSegment): Lsn =>
  segmentStart(parseSegmentName(name, SEGMENT_BYTES) as Segment, SEGMENT_BYTES)

const SMALL = { initdbArguments: ['--wal-segsize=1'] }

describe('SegmentChain', () => {
  for (const major of matrixMajors()) {
    it(`finds everything right that PostgreSQL ${major} wrote, on both sides of a promotion`, async () => {
      await using folder = temporaryDirectory()
      await using pg = await startPostgres({ major, ...SMALL })
      await using standby = await cloneStandby(pg, join(folder.path, 'data'))
      await pg.query(LOAD)
      await switchWal(pg)
      await pg.query(LOAD)
      await pg.query(`select pg_logical_emit_message(false, 'long', repeat('x', 5000000))`)
      const old = segmentsOf(pg, '00000001', await switchWal(pg))
      assert.ok(old.length > 10, `${old.length} segments`)
      const chain = new SegmentChain({ ...EXPECTED, major })
      for (const segment of old) assert.equal(chain.push(segment), undefined, segment.name)
      await pg.stop()
      await promote(standby)
      await standby.query(LOAD)
      const fresh = segmentsOf(standby, '00000002', await switchWal(standby))
      const text = readFileSync(join(standby.directory, 'pg_wal/00000002.history'), 'utf8')
      const history = parseTimelineHistory(2, text)
      const next = new SegmentChain({ segmentBytes: SEGMENT_BYTES, history, major })
      const first = fresh[0] as NamedSegment
      const parent = old.findLast(({ name }) => name.slice(8) < first.name.slice(8))
      if (parent !== undefined) next.seed(parent)
      for (const segment of fresh) assert.equal(next.push(segment), undefined, segment.name)
    })
  }

  it('finds everything right after crashes in the middle of a record', async () => {
    await using pg = await startPostgres({ major: 18, ...SMALL, settings: { fsync: 'off' } })
    await pg.query('create table load(text text)')
    for (let round = 0; round < 3; round += 1) {
      const load = pg
        .query(`insert into load select repeat(md5(i::text), 900) from generate_series(1, 9000) i`)
        .catch(() => undefined)
      await pg.query(`select pg_logical_emit_message(false, 'long', repeat('x', 3000000))`)
      await pg.kill()
      await load
      await pg.start()
    }
    const chain = new SegmentChain({ ...EXPECTED, major: 18 })
    for (const segment of segmentsOf(pg, '00000001', await switchWal(pg))) {
      assert.equal(chain.push(segment), undefined, segment.name)
    }
  })

  describe('with two neighbours of a busy server', () => {
    let first: NamedSegment
    let second: NamedSegment
    before(async () => {
      await using pg = await startPostgres({ major: 18, ...SMALL })
      await pg.query(LOAD)
      const all = segmentsOf(pg, '00000001', await switchWal(pg))
      first = all.at(-4) ?? first
      second = all.at(-3) ?? second
    })
    const changed = (segment: NamedSegment, change: (copy: Buffer) => void): NamedSegment => {
      const content = Buffer.from(segment.content)
      change(content)
      return { ...segment, content }
    }
    const judge = (segment: NamedSegment): string | undefined =>
      checkSegment(segment, { ...EXPECTED, before: first })

    it('finds any bit that is wrong, up to where a record of the next segment begins', () => {
      let judged = 0
      fc.assert(
        fc.property(
          fc.integer({ min: 40, max: SEGMENT_BYTES - 10_000 }),
          fc.integer({ min: 0, max: 7 }),
          (at, bit) => {
            const flipped = changed(second, (copy) => {
              copy.writeUInt8(copy.readUInt8(at) ^ (1 << bit), at)
            })
            // Bytes that align records or headers are covered by no checksum and mean nothing.
            const isPadding = second.content[at] === 0 && judge(flipped) === undefined
            if (isPadding) return
            judged += 1
            assert.notEqual(judge(flipped), undefined, `bit ${bit} of byte ${at}`)
          },
        ),
        { numRuns: 300 },
      )
      assert.ok(judged > 250, `${judged} flips judged`)
    })

    it('finds a bit that is wrong in a record that crosses into the segment', () => {
      const flipped = changed(second, (copy) => copy.writeUInt8(copy.readUInt8(45) ^ 1, 45))
      assert.match(judge(flipped) ?? '', /wrong CRC/)
      const alone = checkSegment(flipped, EXPECTED)
      assert.equal(alone, undefined, 'without the one before it cannot be known')
    })

    it('finds a page of zeros in the middle, a page of elsewhere and a page of another timeline', () => {
      const page = 40 * 8192
      const empty = changed(second, (copy) => copy.fill(0, page, page + 8192))
      assert.match(judge(empty) ?? '', /zeros from page/)
      const foreign = changed(second, (copy) => {
        Buffer.from(first.content).copy(copy, page, page, page + 8192)
      })
      assert.match(judge(foreign) ?? '', /says it is page/)
      const later = changed(second, (copy) => copy.writeUInt32LE(2, page + 4))
      assert.match(judge(later) ?? '', /timeline 2, not 1/)
      const all = changed(second, (copy) => {
        for (let at = 0; at < SEGMENT_BYTES; at += 8192) copy.writeUInt32LE(2, at + 4)
      })
      const history = { timeline: 3, switches: [{ timeline: 1, switchLsn: 1n, reason: '' }] }
      const asThree = { ...all, name: `00000003${all.name.slice(8)}` }
      const problem = checkSegment(asThree, { ...EXPECTED, history: history as never })
      assert.match(problem ?? '', /timeline 2, not 3/)
    })

    it('lets a stream through that goes on inside a record held by its beginning, and no other', () => {
      const joint = {
        start: { timeline: 1, lsn: startOf(second) },
        segmentBytes: SEGMENT_BYTES,
        after: () => scannerAfter(first, EXPECTED),
      }
      assert.ok(beginsInsideRecord(second.content))
      for (const size of [100, 8000, 8192, 50_000]) {
        const check = new JoinCheck(joint)
        assert.equal(check.isJoined, false)
        for (let at = 0; at < 400_000; at += size)
          check.push(second.content.subarray(at, at + size))
        assert.ok(check.isJoined, `in pieces of ${size}`)
      }
      const other = changed(second, (copy) => copy.writeUInt8(copy.readUInt8(45) ^ 1, 45))
      assert.throws(
        () => new JoinCheck(joint).push(other.content),
        (error) =>
          isBackstayError(error, 'POSTGRES_IDENTITY') && /does not follow/.test(error.message),
      )
    })

    it('finds that a segment of another history does not follow', async () => {
      await using pg = await startPostgres({ major: 18, ...SMALL })
      await pg.query(`select pg_logical_emit_message(false, 'other', 'history'); ${LOAD}`)
      const all = segmentsOf(pg, '00000001', await switchWal(pg))
      const other = all.find(({ name }) => name === second.name) as NamedSegment
      assert.equal(checkSegment(other, EXPECTED), undefined)
      assert.notEqual(judge(other), undefined)
    })
  })
})
