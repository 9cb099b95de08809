import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { BlockMap } from '../../../src/postgres/block-map.ts'
import { pagesToRead } from '../../../src/backup/take/pages-to-read.ts'

const PAGE = 8192
const FILE_BLOCKS = 131_072
const PATH = 'base/5/16384'
const RELATION = { tablespaceOid: 1663, databaseOid: 5, fileNumber: 16_384 }
const MAIN = { ...RELATION, fork: 0 }

function mapOf(blocks: readonly number[], limitBlock?: number): BlockMap {
  const map = new BlockMap()
  const runs = blocks.map((block) => ({ from: block, to: block + 1 }))
  map.addEntry({ ...MAIN, limitBlock, runs })
  return map
}

const read = (path: string, map: BlockMap, pages: number, referencePages?: number): unknown => {
  const referenceBytes = referencePages === undefined ? undefined : referencePages * PAGE
  return pagesToRead({ path, sizeBytes: pages * PAGE, referenceBytes }, map)
}

suite('of a relation’s file are read', () => {
  test('the blocks that the map names, and nothing of one that it does not', () => {
    assert.deepEqual(read(PATH, mapOf([1, 2, 9]), 20, 20), [
      { from: 1, to: 3 },
      { from: 9, to: 10 },
    ])
    assert.deepEqual(read(PATH, new BlockMap(), 20, 20), [])
    assert.deepEqual(read('base/5/16385', mapOf([1]), 20, 20), [])
  })

  test('everything behind the end of the older copy, and behind a limit', () => {
    assert.deepEqual(read(PATH, mapOf([19]), 25, 20), [{ from: 19, to: 25 }])
    assert.deepEqual(read(PATH, mapOf([3, 15], 10), 20, 20), [
      { from: 3, to: 4 },
      { from: 10, to: 20 },
    ])
    assert.deepEqual(read(PATH, mapOf([], 30), 20, 40), [])
  })

  test('of a later file its own blocks, numbered in it', () => {
    const map = mapOf([1, FILE_BLOCKS + 4], FILE_BLOCKS + 6)
    assert.deepEqual(read(`${PATH}.1`, map, 10, 10), [
      { from: 4, to: 5 },
      { from: 6, to: 10 },
    ])
    assert.equal(read(`${PATH}.2`, map, 10, 10), 'all')
    assert.deepEqual(read(PATH, map, FILE_BLOCKS, FILE_BLOCKS), [{ from: 1, to: 2 }])
  })

  test('all blocks of what is new, was made anew, or lies in a database that came as files', () => {
    assert.equal(read(PATH, new BlockMap(), 20), 'all')
    assert.equal(read(PATH, mapOf([], 0), 20, 20), 'all')
    const map = new BlockMap()
    map.addDatabase({ tablespaceOid: 1663, databaseOid: 5 })
    assert.equal(read(PATH, map, 20, 20), 'all')
    assert.deepEqual(read('base/6/16384', map, 20, 20), [])
    assert.deepEqual(read('global/1262', map, 20, 20), [])
  })

  test('all of what WAL does not tell block by block, and of a size that is not understood', () => {
    for (const path of [
      `${PATH}_fsm`,
      `${PATH}_vm`,
      `${PATH}_init`,
      'pg_xact/0000',
      'PG_VERSION',
    ]) {
      assert.equal(read(path, new BlockMap(), 20, 20), 'all')
    }
    assert.equal(
      pagesToRead({ path: PATH, sizeBytes: 100, referenceBytes: PAGE }, mapOf([])),
      'all',
    )
    assert.equal(
      pagesToRead({ path: PATH, sizeBytes: PAGE, referenceBytes: 100 }, mapOf([])),
      'all',
    )
    assert.equal(read(PATH, mapOf([]), FILE_BLOCKS + 1, FILE_BLOCKS + 1), 'all')
  })
})
