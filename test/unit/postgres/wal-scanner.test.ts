import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { addBytes, formatLsn, type Lsn, parseLsn, toLsn } from '../../../src/postgres/lsn.ts'
import { inspectSegment } from '../../../src/postgres/wal-page.ts'
import type { WalRecord } from '../../../src/postgres/wal-record.ts'
import { WalScanner, type WalScanStart } from '../../../src/postgres/wal-scanner.ts'
import { type WalEvent, walEventOf } from '../../../src/postgres/wal-event.ts'
import { findRecord, findWalEnd } from '../../../src/postgres/wal-search.ts'
import { type Golden, GOLDENS, unpack } from '../../fixtures/postgres/golden.ts'
import { WalBuilder } from './wal-builder.ts'

const PAGE = 8192
const lsn = (text: string): Lsn => parseLsn(text) ?? assert.fail(text)

interface Recording {
  readonly golden: Golden
  readonly bytes: Buffer
  readonly start: WalScanStart
  readonly endLsn: Lsn
  readonly records: readonly WalRecord[]
}

const RECORDINGS: readonly Recording[] = GOLDENS.map((golden) => {
  const bytes = unpack(golden.wal.bytes)
  const { startLsn, segmentBytes } =
    inspectSegment(bytes, { name: golden.wal.name }).identity ?? assert.fail()
  const start = { startLsn, segmentBytes }
  const records = [...new WalScanner(start).push(bytes)]
  return { golden, bytes, start, endLsn: lsn(golden.wal.endLsn), records }
})

const at = (recording: Recording, position: Lsn): number =>
  Number(position - recording.start.startLsn)

const eventsOf = ({ golden, records }: Recording): WalEvent[] =>
  records.flatMap((record) => walEventOf(record, golden.major) ?? [])

for (const recording of RECORDINGS) {
  const { golden, bytes, start, endLsn, records } = recording

  suite(`WAL of PostgreSQL ${golden.major}`, () => {
    test('is valid up to the position the server had flushed', () => {
      assert.deepEqual(findWalEnd(bytes, start), { endLsn, stop: undefined })
    })

    test('is a chain of records, some of them over pages', () => {
      for (const [index, record] of records.entries()) {
        if (index > 0) assert.equal(record.previousLsn, records[index - 1]?.lsn)
        assert.equal(record.bytes.length, record.totalBytes)
        assert.ok(record.lsn < record.endLsn && record.timeline === 1)
      }
      const page = (position: Lsn): number => Math.floor(at(recording, position) / PAGE)
      assert.ok(records.some((record) => page(record.lsn) !== page(record.endLsn)))
    })

    test('gives the same records however it is cut into pages', () => {
      fc.assert(
        fc.property(fc.array(fc.integer({ min: 1, max: 4 })), (cuts) => {
          const scanner = new WalScanner(start)
          const found: Lsn[] = []
          let from = 0
          for (const cut of [...cuts, bytes.length]) {
            for (const record of scanner.push(bytes.subarray(from, from + cut * PAGE))) {
              found.push(record.lsn)
            }
            from += cut * PAGE
            if (from >= bytes.length) break
          }
          assert.deepEqual(
            found,
            records.map((record) => record.lsn),
          )
          assert.equal(scanner.endLsn, endLsn)
        }),
        { numRuns: 30 },
      )
    })

    test('cut at any byte ends with the last record that is whole', () => {
      fc.assert(
        fc.property(fc.nat(bytes.length), (length) => {
          const found = findWalEnd(bytes.subarray(0, length), start).endLsn
          const whole = records.filter(
            (record) => at(recording, record.lsn) + record.totalBytes <= length,
          )
          const last = whole.findLast((record) => lastByte(recording, record) < length)
          assert.equal(found, last?.endLsn ?? start.startLsn)
        }),
      )
    })

    test('zeros after the end are the end', () => {
      const padded = Buffer.concat([bytes, Buffer.alloc(3 * PAGE)])
      const found = findWalEnd(padded, start)
      assert.equal(found.endLsn, endLsn)
      assert.equal(found.stop?.kind, 'zeros')
    })

    test('with any byte of a record changed ends before that record', () => {
      fc.assert(
        fc.property(
          fc.nat(records.length - 1),
          fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
          fc.integer({ min: 1, max: 255 }),
          (index, part, mask) => {
            const record = records[index] ?? assert.fail()
            const byte = at(recording, record.lsn) + Math.floor(part * record.totalBytes)
            // Only bytes on the record's first page are surely its own, not a page header's.
            fc.pre(Math.floor(byte / PAGE) === Math.floor(at(recording, record.lsn) / PAGE))
            // Bytes 18 and 19 are padding.
            fc.pre(byte - at(recording, record.lsn) < 18 || byte - at(recording, record.lsn) > 19)
            const damaged = Buffer.from(bytes)
            damaged[byte] = (damaged[byte] ?? 0) ^ mask
            const found = findWalEnd(damaged, start)
            assert.ok(found.endLsn <= record.lsn, formatLsn(found.endLsn))
          },
        ),
      )
    })

    test('with a stale page after the end ends there', () => {
      const inside = bytes.length - (bytes.length % PAGE)
      const stale = Buffer.from(bytes)
      stale.writeBigUInt64LE(start.startLsn, inside + 8)
      const found = findWalEnd(stale, start)
      assert.equal(found.stop?.kind, 'invalid')
      assert.match(found.stop?.problem ?? '', /says it is page/)
      assert.ok(at(recording, found.endLsn) <= inside)
    })

    test('has any record found by its LSN, with its end', () => {
      for (const record of records.filter((_, index) => index % 10 === 0)) {
        const found = findRecord(bytes, { ...start, recordLsn: record.lsn })
        assert.equal(found?.endLsn, record.endLsn)
      }
      const middle = records[5] ?? assert.fail()
      assert.equal(findRecord(bytes, { ...start, recordLsn: addBytes(middle.lsn, 8) }), undefined)
      assert.equal(findRecord(bytes, { ...start, recordLsn: endLsn }), undefined)
    })

    test('can be scanned from a page in the middle', () => {
      const scanner = new WalScanner({ ...start, startLsn: addBytes(start.startLsn, PAGE) })
      const [first] = scanner.push(bytes.subarray(PAGE))
      const expected = records.find((record) => at(recording, record.lsn) >= PAGE)
      assert.equal(first?.lsn, expected?.lsn)
      assert.equal(scanner.stop, undefined)
    })

    test('names commits, prepared ones too, with the server’s own times', () => {
      const times = new Map(
        eventsOf(recording).flatMap((event): [number, string][] =>
          event.kind === 'commit' ? [[event.xid, String(event.timeUs)]] : [],
        ),
      )
      assert.equal(golden.events.commits.length, 2)
      for (const { xid, timeUs } of golden.events.commits) assert.equal(times.get(xid), timeUs)
    })

    test('names aborts', () => {
      const aborted = eventsOf(recording).flatMap((event) =>
        event.kind === 'abort' ? [event.xid] : [],
      )
      assert.deepEqual(aborted, [golden.events.abort])
    })

    test('names the restore point, whose end is the position the server gave', () => {
      const points = records.flatMap((record) => {
        const event = walEventOf(record, golden.major)
        return event?.kind === 'restore-point'
          ? [{ name: event.name, endLsn: formatLsn(record.endLsn) }]
          : []
      })
      assert.deepEqual(points, [golden.events.restorePoint])
    })

    test('names checkpoints', () => {
      const found = eventsOf(recording).flatMap((event) =>
        event.kind === 'online-checkpoint' ? [event] : [],
      )
      const last = found.at(-1) ?? assert.fail()
      assert.ok(last.redoLsn >= start.startLsn && last.redoLsn < endLsn)
      assert.deepEqual([last.timeline, last.previousTimeline], [1, 1])
    })
  })
}

/** Offset of the last byte of a record, page headers on the way counted. */
function lastByte(recording: Recording, record: WalRecord): number {
  let offset = at(recording, record.lsn)
  for (let left = record.totalBytes; ;) {
    const room = PAGE - (offset % PAGE)
    if (left <= room) return offset + left - 1
    left -= room
    offset += room + 24
  }
}

suite('WAL scanner', () => {
  const { bytes, start } = RECORDINGS[0] ?? assert.fail()

  test('takes nothing after a piece that ended inside a page', () => {
    const scanner = new WalScanner(start)
    assert.ok([...scanner.push(bytes.subarray(0, 100))].length <= 1)
    assert.throws(() => [...scanner.push(bytes.subarray(100))], RangeError)
  })

  test('starts at the start of a page only', () => {
    assert.throws(
      () => new WalScanner({ ...start, startLsn: addBytes(start.startLsn, 8) }),
      RangeError,
    )
  })

  test('refuses WAL of another segment size', () => {
    const found = findWalEnd(bytes, { ...start, segmentBytes: 1024 * 1024 })
    assert.match(found.stop?.problem ?? '', /segment size 16777216/)
  })

  test('refuses a long header in the middle of a segment, whole or cut off', () => {
    for (const pageBytes of [PAGE, 39, 24]) {
      const pages = Buffer.from(bytes.subarray(0, PAGE + pageBytes))
      pages.writeUInt16LE(pages.readUInt16LE(PAGE + 2) | 2, PAGE + 2)
      assert.match(findWalEnd(pages, start).stop?.problem ?? '', /header of the wrong kind/)
    }
  })

  const START = 0x10_0000n
  const scan = (builder: WalBuilder): { lsns: bigint[]; scanner: WalScanner } => {
    const scanner = new WalScanner({ startLsn: toLsn(START), segmentBytes: builder.segmentBytes })
    return { lsns: [...scanner.push(builder.bytes)].map((record) => record.lsn), scanner }
  }

  test('goes on in the next segment after a switch, whatever fills the rest', () => {
    const builder = new WalBuilder(START)
    const lsns = [builder.record(), builder.record({ info: 0x40, resourceManager: 0 })]
    builder.fill('segment')
    builder.bytes.fill(9, 20_000)
    lsns.push(builder.record())
    const { lsns: found, scanner } = scan(builder)
    assert.deepEqual(found, lsns)
    assert.equal(scanner.stop, undefined)
    assert.equal(scanner.endLsn, builder.position)
  })

  test('a switch ends where its segment does', () => {
    const builder = new WalBuilder(START)
    builder.record({ info: 0x40, resourceManager: 0 })
    const { scanner } = scan(builder)
    assert.equal(scanner.endLsn, START + BigInt(builder.segmentBytes))
  })

  test('a record over many pages and a segment border is one record', () => {
    const builder = new WalBuilder(START)
    const lsns = [
      builder.record({ dataBytes: 1_000_000 }),
      builder.record({ dataBytes: 100_000 }),
      builder.record(),
    ]
    assert.deepEqual(scan(builder).lsns, lsns)
  })

  test('a record given up by a crash is passed over where the server says so', () => {
    const builder = new WalBuilder(START)
    const first = builder.record()
    builder.record({ dataBytes: 20_000 }, 9000)
    builder.fill('page')
    builder.page(8)
    const next = builder.record()
    assert.deepEqual(scan(builder).lsns, [first, next])
  })

  test('without that word the missing continuation is the end', () => {
    const builder = new WalBuilder(START)
    builder.record()
    const end = builder.position
    builder.record({ dataBytes: 20_000 }, 9000)
    builder.fill('page')
    builder.page()
    builder.record()
    const { scanner } = scan(builder)
    assert.equal(scanner.endLsn, end)
    assert.match(scanner.stop?.problem ?? '', /continues a record by 0 bytes, not /)
  })

  test('a timeline may grow from page to page, never fall', () => {
    const builder = new WalBuilder(START)
    builder.record({ dataBytes: 8000 })
    builder.timeline = 2
    builder.record({ dataBytes: 8000 })
    const grown = scan(builder)
    assert.equal(grown.scanner.stop, undefined)
    builder.timeline = 1
    builder.record({ dataBytes: 8000 })
    assert.match(scan(builder).scanner.stop?.problem ?? '', /timeline 1 after 2/)
  })
})
