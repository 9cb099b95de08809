/**
 * What others have behind the last record of a crashed primary: the beginning of one that it did not finish either, or more than it has.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hasBegunRecordOnly } from '../../../src/failover/begun-record.ts'
import { reachOfWal } from '../../../src/failover/wal-reach.ts'
import type { WalSource } from '../../../src/failover/wal-sources.ts'
import { type Lsn, toLsn } from '../../../src/postgres/lsn.ts'
import { WalBuilder } from '../postgres/wal-builder.ts'

const SEGMENT_BYTES = 1024 * 1024
const PAGE_BYTES = 8192
const START = BigInt(5 * SEGMENT_BYTES)
const STANDING = { timeline: 1, lsn: toLsn(START), segmentBytes: SEGMENT_BYTES }

/** A page of records, and one that goes on in the next page. */
function written(): Buffer {
  const wal = new WalBuilder(START, SEGMENT_BYTES)
  while (wal.bytes.length < PAGE_BYTES - 100) wal.record({ resourceManager: 1, dataBytes: 8 })
  wal.record({ dataBytes: 300 })
  return wal.bytes
}

/** A server that has the first `bytes` of it, and says that it had it up to `hadBytes`. */
async function source(bytes: number, hadBytes = bytes): Promise<WalSource> {
  const content = Buffer.alloc(SEGMENT_BYTES)
  written().copy(content, 0, 0, bytes)
  const readSegment = async (name: string): Promise<Buffer | undefined> =>
    name.endsWith('05') ? content : undefined
  const reach = await reachOfWal({ readSegment, findLater: async () => undefined }, STANDING)
  const endLsn = reach?.endLsn as Lsn
  const hadLsn = toLsn(START + BigInt(hadBytes))
  return { name: 'db', endLsn, doubt: undefined, hadLsn, readSegment }
}

test('the page in which a record begins that nobody has to its end is no more than the primary has', async () => {
  const primary = await source(PAGE_BYTES)
  const standby = await source(PAGE_BYTES)
  assert.ok(primary.endLsn < standby.hadLsn, 'a record is begun')
  assert.equal(await hasBegunRecordOnly(primary, standby, STANDING), true)
})

test('a record behind the primary’s last one is more', async () => {
  const standby = await source(written().length)
  assert.equal(await hasBegunRecordOnly(await source(PAGE_BYTES), standby, STANDING), false)
})

test('what the primary does not have, or has otherwise, is more', async () => {
  const standby = await source(PAGE_BYTES)
  const [endLsn] = [standby.endLsn - START]
  assert.equal(await hasBegunRecordOnly(await source(Number(endLsn)), standby, STANDING), false)
  const lost = { ...(await source(PAGE_BYTES)), readSegment: async () => undefined }
  assert.equal(await hasBegunRecordOnly(lost, standby, STANDING), false)
})

test('what was had beyond what can be read is more', async () => {
  const primary = await source(PAGE_BYTES)
  const standby = await source(PAGE_BYTES, SEGMENT_BYTES + 8)
  assert.equal(await hasBegunRecordOnly(primary, standby, STANDING), false)
})
