import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import type { BackupId } from '../../../src/repository/backup-info.ts'
import { clusterNames } from '../../../src/repository/format.ts'
import type { Extent, ManifestFile, Unit } from '../../../src/repository/manifest-entry.ts'
import { PackReader } from '../../../src/repository/pack-reader.ts'
import { PackWriter } from '../../../src/repository/pack-writer.ts'
import { SliceReader } from '../../../src/repository/slice-reader.ts'
import { compressFrame } from '../../../src/repository/codec.ts'
import { MemoryStore } from '../../harness/memory-store.ts'

const ID = '20261122T084545' as BackupId
const names = clusterNames('shop')

/** `count` packs of one unit each. */
async function packs(
  count: number,
): Promise<{ store: MemoryStore; units: Unit[]; contents: Buffer[] }> {
  const store = new MemoryStore()
  const writer = new PackWriter({ store, names, cluster: 'shop', id: ID, packBytes: 1 })
  const units: Unit[] = []
  const contents: Buffer[] = []
  for (let n = 0; n < count; n += 1) {
    const content = randomBytes(1000)
    const frame = compressFrame(content)
    const [place] = await writer.append([{ frame, rawBytes: 1000 }])
    assert.ok(place)
    units.push({ ...place, storedBytes: frame.length, rawBytes: 1000 })
    contents.push(content)
  }
  await writer.finish()
  return { store, units, contents }
}

describe('PackReader', () => {
  it('reads from more packs than it keeps open, also concurrently', async () => {
    const { store, units, contents } = await packs(150)
    await using reader = new PackReader(store, names)
    for (let round = 0; round < 2; round += 1) {
      const read = await Promise.all(units.map((unit) => reader.unit(unit)))
      assert.ok(read.every((content, n) => content.equals(contents[n] ?? Buffer.alloc(0))))
    }
  })

  it('asks the store again after a failure', async () => {
    const { store, units, contents } = await packs(1)
    const [unit] = units
    assert.ok(unit)
    const object = names.pack(unit.pack)
    const good = (await store.get(object, 2 ** 30)) ?? Buffer.alloc(0)
    await store.delete(object)
    await using reader = new PackReader(store, names)
    await assert.rejects(reader.unit(unit), (error) => isBackstayError(error, 'REPOSITORY_DAMAGED'))
    await store.put(object, good)
    assert.ok((await reader.unit(unit)).equals(contents[0] ?? Buffer.alloc(0)))
  })

  it('calls a unit damaged whose length is not the announced one', async () => {
    const { store, units } = await packs(1)
    await using reader = new PackReader(store, names)
    for (const rawBytes of [999, 1001]) {
      const unit = { ...(units[0] as Unit), rawBytes }
      await assert.rejects(reader.unit(unit), (error) =>
        isBackstayError(error, 'REPOSITORY_DAMAGED'),
      )
    }
  })
})

describe('SliceReader', () => {
  it('gives any stretch of a file, moving forward', async () => {
    const { store, units, contents } = await packs(4)
    const stretch = fc.tuple(fc.nat(4), fc.nat(900), fc.integer({ min: 1, max: 100 }))
    await fc.assert(
      fc.asyncProperty(
        fc.array(stretch, { minLength: 1, maxLength: 10 }),
        fc.array(fc.nat(150)),
        async (stretches, lengths) => {
          const extents = stretches.map(([pick, unitOffset, length]): Extent => {
            const unit = units[pick]
            return { unit, unitOffset: unit === undefined ? 0 : unitOffset, length }
          })
          const whole = Buffer.concat(
            stretches.map(
              ([pick, offset, length]) =>
                contents[pick]?.subarray(offset, offset + length) ?? Buffer.alloc(length),
            ),
          )
          const facts = { kind: 'file', path: 'f', mode: 0, modifiedAtMs: 0, crc32c: 0 } as const
          const file: ManifestFile = { ...facts, sizeBytes: whole.length, extents }
          await using reader = new PackReader(store, names)
          const slices = new SliceReader(file, reader)
          let at = 0
          for (const length of lengths) {
            const part = Math.min(length, whole.length - at)
            if (part === 0) continue
            assert.ok((await slices.read(at, part)).equals(whole.subarray(at, at + part)))
            at += part
          }
        },
      ),
    )
  })
})
