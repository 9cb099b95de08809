import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { EmptiedPacks, planEmptying } from '../../../../src/backup/take/emptied-packs.ts'
import type { ManifestFile } from '../../../../src/repository/manifest-entry.ts'

const MB = 1024 * 1024
const pack = (name: string, rawMb: number, liveMb: number) => ({
  name,
  storedBytes: rawMb * MB,
  rawBytes: rawMb * MB,
  liveBytes: liveMb * MB,
})

describe('emptying packs', () => {
  it('chooses the emptiest packs that fit into a twentieth of the database', () => {
    const packs = [
      pack('full', 100, 90),
      pack('third', 100, 29),
      pack('tenth', 100, 10),
      pack('fifth', 25, 5),
      pack('new', 10, 10),
    ]
    const chosen = (databaseMb: number) => planEmptying(packs, databaseMb * MB).packs
    assert.deepEqual(planEmptying(packs, 1000 * MB).budgetBytes, 50 * MB)
    assert.deepEqual(chosen(1000), ['tenth', 'fifth', 'third'])
    assert.deepEqual(chosen(800), ['tenth', 'fifth'])
    assert.deepEqual(chosen(100), ['fifth'])
    assert.deepEqual(planEmptying([pack('half', 100, 50)], 400 * MB).packs, [])
  })

  it('begins with the emptiest when none fits', () => {
    const packs = [pack('a', 100, 20), pack('b', 100, 10)]
    assert.deepEqual(planEmptying(packs, 100 * MB).packs, ['b'])
  })

  it('moves only pages of those packs, and stops at the budget', () => {
    const unit = (name: string) => ({ pack: name, offset: 0, storedBytes: 1, rawBytes: 524_288 })
    const extents = [
      { unit: unit('old'), unitOffset: 0, length: 2 * 8192 },
      { unit: unit('new'), unitOffset: 0, length: 8192 },
      { unit: undefined, unitOffset: 0, length: 8192 },
      { unit: unit('old'), unitOffset: 0, length: 3 * 8192 },
    ]
    const file: ManifestFile = {
      kind: 'file',
      path: 'f',
      mode: 0,
      modifiedAtMs: 0,
      crc32c: 0,
      sizeBytes: 7 * 8192,
      extents,
    }
    const emptied = new EmptiedPacks({ packs: ['old'], budgetBytes: 4 * 8192 })
    const taken = [0, 1, 2, 3, 4, 5, 6].filter((page) => emptied.takes(file, page * 8192))
    assert.deepEqual(taken, [0, 1, 4, 5])
  })
})
