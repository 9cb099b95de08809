/**
 * What reading WAL says of its end: what a crash leaves is one, and no flipped bit makes one.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { reachOfWal, type WalReach } from '../../../src/failover/wal-reach.ts'
import { type Lsn, toLsn } from '../../../src/postgres/lsn.ts'
import { WalBuilder } from '../postgres/wal-builder.ts'

const SEGMENT_BYTES = 1024 * 1024
const PAGE_BYTES = 8192
const START = BigInt(5 * SEGMENT_BYTES)
/** A commit's. */
const COMMIT = { resourceManager: 1, dataBytes: 8 }

/** A segment as it was written when the file had an earlier name. */
function recycled(dataBytes: number): Buffer {
  const old = new WalBuilder(BigInt(2 * SEGMENT_BYTES), SEGMENT_BYTES)
  while (old.bytes.length < SEGMENT_BYTES - 2 * PAGE_BYTES) old.record({ dataBytes })
  old.fill('segment')
  return old.bytes
}

/** Three pages of records, the last one begun. */
function written(): WalBuilder {
  const wal = new WalBuilder(START, SEGMENT_BYTES)
  while (wal.bytes.length < 2 * PAGE_BYTES - 100) wal.record(COMMIT)
  wal.record({ dataBytes: 300 })
  for (let n = 0; n < 5; n += 1) wal.record(COMMIT)
  return wal
}

/** What stands in the file when `bytes` were written into it, the page they end in with zeros or as it was. */
function fileOf(bytes: Buffer, before: Buffer, rest: 'zeros' | 'as it was'): Buffer {
  const content = Buffer.from(before)
  const pageEnd = Math.ceil(bytes.length / PAGE_BYTES) * PAGE_BYTES
  if (rest === 'zeros') content.fill(0, 0, pageEnd)
  bytes.copy(content)
  return content
}

async function read(content: Buffer): Promise<WalReach | undefined> {
  const reader = {
    readSegment: async (name: string) => (name.endsWith('05') ? content : undefined),
    findLater: async () => undefined,
  }
  return reachOfWal(reader, { timeline: 1, lsn: toLsn(START), segmentBytes: SEGMENT_BYTES })
}

/** Offsets in a range at which a bit that is flipped, another one in every third byte, makes WAL seem to end elsewhere than at `endLsn`. */
async function believedEnds(
  { content, from, to }: { readonly content: Buffer; readonly from: number; readonly to: number },
  endLsn: Lsn,
): Promise<readonly number[]> {
  const believed: number[] = []
  for (let at = from; at < to; at += 3) {
    const byte = content.readUInt8(at)
    content.writeUInt8(byte ^ (1 << (at % 8)), at)
    const reach = await read(content)
    content.writeUInt8(byte, at)
    if (reach?.doubt === undefined && reach?.endLsn !== endLsn) believed.push(at - from)
  }
  return believed
}

const BEFORE = {
  zeros: Buffer.alloc(SEGMENT_BYTES),
  'small old records': recycled(8),
  'old records of several pages': recycled(30_000),
}

for (const [what, before] of Object.entries(BEFORE)) {
  describe(`WAL in a file of ${what}`, () => {
    test('ends where PostgreSQL ended it', async () => {
      const wal = written()
      const endLsn = toLsn(wal.position)
      const reach = await read(fileOf(wal.bytes, before, 'zeros'))
      assert.deepEqual(reach, { endLsn, doubt: undefined })
    })

    test('ends where a standby has received it to, over what stood there', async () => {
      const wal = written()
      const endLsn = toLsn(wal.position)
      const reach = await read(fileOf(wal.bytes, before, 'as it was'))
      assert.deepEqual(reach, { endLsn, doubt: undefined })
    })

    test('ends before a record that goes on in a page not written yet', async () => {
      const wal = written()
      const endLsn = toLsn(wal.position)
      wal.record({ dataBytes: 3 * PAGE_BYTES })
      const bytes = wal.bytes.subarray(0, 3 * PAGE_BYTES)
      assert.deepEqual(await read(fileOf(bytes, before, 'zeros')), { endLsn, doubt: undefined })
    })

    test('ends before a record of which only a part was written', async () => {
      const wal = written()
      const endLsn = toLsn(wal.position)
      wal.record({ dataBytes: 400 }, 200)
      const reach = await read(fileOf(wal.bytes, before, 'zeros'))
      assert.deepEqual(reach, { endLsn, doubt: undefined })
    })

    test('ends at the end of a page', async () => {
      const wal = written()
      while (wal.bytes.length % PAGE_BYTES !== 0) wal.record({ dataBytes: 3 })
      const endLsn = toLsn(wal.position)
      const reach = await read(fileOf(wal.bytes, before, 'zeros'))
      assert.deepEqual(reach, { endLsn, doubt: undefined })
    })

    for (const rest of ['zeros', 'as it was'] as const) {
      test(`does not end before any bit that is flipped in its last page, the rest ${rest}`, async () => {
        const wal = written()
        const content = fileOf(wal.bytes, before, rest)
        const flipped = { content, from: 2 * PAGE_BYTES, to: wal.bytes.length }
        assert.deepEqual(await believedEnds(flipped, toLsn(wal.position)), [])
      })
    }

    test('does not end before a record of its last page that is zeros', async () => {
      const wal = written()
      const content = fileOf(wal.bytes, before, 'zeros')
      content.fill(0, wal.bytes.length - 200, wal.bytes.length - 100)
      assert.match((await read(content))?.doubt ?? '', /is not as behind its end/)
    })
  })
}
