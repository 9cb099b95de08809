import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { crc32c } from '@node-rs/crc32'
import fc from 'fast-check'
import { INVALID_LSN } from '../../../src/postgres/lsn.ts'
import type { BackupId } from '../../../src/repository/backup-info.ts'
import { clusterNames, UNIT_BYTES } from '../../../src/repository/format.ts'
import { PackReader } from '../../../src/repository/pack-reader.ts'
import { PackWriter } from '../../../src/repository/pack-writer.ts'
import { allocateSlots, SlotPool } from '../../../src/repository/unit-slots.ts'
import { type UnitPiece, UnitPacker } from '../../../src/repository/unit-packer.ts'
import { WorkerPool } from '../../../src/repository/worker-pool.ts'
import { MemoryStore } from '../../harness/memory-store.ts'

const ID = '20261122T084545' as BackupId
const names = clusterNames('shop')

function machinery(slotCount: number, packBytes = 2 ** 30) {
  const store = new MemoryStore()
  const memory = allocateSlots(slotCount)
  const workers = new WorkerPool({ memory, level: 1, workers: 2 })
  const packs = new PackWriter({ store, names, cluster: 'shop', id: ID, packBytes })
  const slots = new SlotPool(Array.from({ length: slotCount }, (_, n) => n))
  const packer = new UnitPacker({ memory, slots, workers, packs, limitLsn: () => INVALID_LSN })
  return { store, packs, packer, workers, reader: new PackReader(store, names) }
}

interface Content {
  readonly bytes: Buffer
  readonly paged: boolean
}

async function pack(packer: UnitPacker, contents: readonly Content[]): Promise<UnitPiece[][]> {
  const pieces: UnitPiece[][] = contents.map(() => [])
  for (const [index, { bytes, paged }] of contents.entries()) {
    const owner = { placed: (piece: UnitPiece) => void pieces[index]?.push(piece) }
    for (let at = 0; at < bytes.length;) {
      const wantedBytes = bytes.length - at
      const room = await packer.openPiece({
        owner,
        fileOffset: at,
        wantedBytes,
        firstBlock: undefined,
        paged,
      })
      packer.write(bytes.subarray(at, at + room))
      at += room
    }
  }
  await packer.flush()
  return pieces
}

describe('UnitPacker', () => {
  it('lays files of any size into units from which they can be read again', async () => {
    const size = fc.oneof(fc.nat(100), fc.nat(20_000), fc.nat(1_200_000))
    const content = fc.record({ size, paged: fc.boolean() })
    await fc.assert(
      fc.asyncProperty(fc.array(content, { minLength: 1, maxLength: 6 }), async (wishes) => {
        const { packer, packs, workers, reader } = machinery(4)
        await using _workers = workers
        const contents = wishes.map(({ size, paged }) => ({ bytes: randomBytes(size), paged }))
        const files = await pack(packer, contents)
        await packs.finish()
        for (const [index, { bytes, paged }] of contents.entries()) {
          const pieces = (files[index] ?? []).sort((a, b) => a.fileOffset - b.fileOffset)
          const parts = await Promise.all(pieces.map((piece) => reader.extent(piece.extent)))
          assert.ok(Buffer.concat(parts).equals(bytes))
          assert.ok(pieces.every((piece, n) => piece.crc32c === crc32c(parts[n] ?? '')))
          const last = bytes.length - (bytes.length % 8192)
          const cut = pieces.filter(
            ({ length, fileOffset }) => length % 8192 !== 0 && fileOffset < last,
          )
          if (paged) assert.deepEqual(cut, [], 'no page is cut')
        }
      }),
      { numRuns: 6 },
    )
  })

  it('closes a pack when it is full and begins the next', async () => {
    const { packer, packs, workers, reader } = machinery(6, 1_000_000)
    await using _workers = workers
    const bytes = randomBytes(8 * UNIT_BYTES)
    const [pieces] = await pack(packer, [{ bytes, paged: false }])
    const written = await packs.finish()
    assert.ok(written.length >= 3)
    assert.equal(
      written.reduce((sum, one) => sum + one.rawBytes, 0),
      bytes.length,
    )
    assert.equal(written[0]?.name, `${ID}-000001`)
    const sorted = (pieces ?? []).sort((a, b) => a.fileOffset - b.fileOffset)
    const parts = await Promise.all(sorted.map((piece) => reader.extent(piece.extent)))
    assert.ok(Buffer.concat(parts).equals(bytes))
  })

  it('fails with the reason of a failed write, and leaves nobody waiting', async () => {
    const { packer, packs, workers } = machinery(3)
    await using _workers = workers
    packs.append = () => Promise.reject(new Error('no space'))
    const bytes = randomBytes(20 * UNIT_BYTES)
    await assert.rejects(pack(packer, [{ bytes, paged: false }]), /no space/)
    await assert.rejects(packer.flush(), /no space/)
  })

  it('fails when a worker dies', async () => {
    const { packer, workers } = machinery(3)
    await workers[Symbol.asyncDispose]()
    const bytes = randomBytes(20 * UNIT_BYTES)
    await assert.rejects(pack(packer, [{ bytes, paged: false }]), /workers have ended/)
  })
})
