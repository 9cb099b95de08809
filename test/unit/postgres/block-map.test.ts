import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { BlockMap } from '../../../src/postgres/block-map.ts'
import { SegmentBlocksBuilder } from '../../../src/postgres/segment-blocks.ts'
import { relationCutsOf } from '../../../src/postgres/relation-cut.ts'
import { toLsn } from '../../../src/postgres/lsn.ts'
import { BlockCursor } from '../../../src/postgres/wal-block.ts'
import type { WalRecord } from '../../../src/postgres/wal-record.ts'
import { WalScanner } from '../../../src/postgres/wal-scanner.ts'
import { GOLDENS, unpack } from '../../fixtures/postgres/golden.ts'
import { inspectSegment } from '../../../src/postgres/wal-page.ts'
import { blockReference, mainData, type RecordSpec, WalBuilder } from './wal-builder.ts'

const RELATION = { tablespaceOid: 1663, databaseOid: 5, fileNumber: 16_384 }
const MAIN = { ...RELATION, fork: 0 }
const VM = { ...RELATION, fork: 2 }

function recordOf(spec: RecordSpec): WalRecord {
  const wal = new WalBuilder(0x100000n)
  wal.record(spec)
  const start = { startLsn: toLsn(0x100000n), segmentBytes: wal.segmentBytes }
  const [record] = new WalScanner(start).push(wal.bytes)
  return record ?? assert.fail()
}

function blocksOf(record: WalRecord, major: number): string[] {
  const cursor = new BlockCursor(major)
  const found: string[] = []
  cursor.open(record)
  while (cursor.next()) found.push(`${cursor.fileNumber}/${cursor.fork}/${cursor.block}`)
  return found
}

suite('the blocks of a record', () => {
  test('are all that its headers name, whatever the images after them hold', () => {
    const image = Buffer.from(blockReference([1663, 5, 99, 99]))
    const first = Buffer.concat([
      blockReference([1663, 5, 7, 3]).subarray(0, 4),
      Buffer.from([20, 0, 40, 0, 0x05]),
      blockReference([1663, 5, 7, 3]).subarray(4),
    ])
    first.writeUInt8(0x10, 1)
    assert.deepEqual(blocksOf(recordOf({ body: Buffer.concat([first, image]) }), 13), ['7/0/3'])
  })

  test('may name the relation of the block before', () => {
    const same = blockReference([0, 0, 0, 9], { id: 1, fork: 0x80 | 2 })
    const body = Buffer.concat([
      Buffer.from([253, 1, 0]),
      blockReference([1663, 5, 7, 3]),
      same.subarray(0, 4),
      same.subarray(16),
      mainData(1),
    ])
    assert.deepEqual(blocksOf(recordOf({ body }), 18), ['7/0/3', '7/2/9'])
  })

  for (const golden of GOLDENS) {
    test(`of real WAL of ${golden.major} are blocks that a small database has`, () => {
      const bytes = unpack(golden.wal.bytes)
      const { identity } = inspectSegment(bytes, { name: golden.wal.name })
      const start = identity ?? assert.fail()
      const cursor = new BlockCursor(golden.major)
      let count = 0
      for (const record of new WalScanner(start).push(bytes)) {
        cursor.open(record)
        while (cursor.next()) {
          count += 1
          assert.ok(cursor.fork <= 3 && cursor.block < 10_000 && cursor.fileNumber < 100_000)
          assert.ok([1663, 1664].includes(cursor.tablespaceOid))
        }
      }
      assert.ok(count > 0)
    })
  }
})

suite('what a record cuts', () => {
  const cutsOf = (spec: RecordSpec, major: number): unknown =>
    relationCutsOf(recordOf(spec), major).map((cut) =>
      cut.kind === 'database'
        ? `${cut.tablespaceOid}/${cut.databaseOid}`
        : `${cut.relation.fileNumber}/${cut.fork}:${cut.limitBlock}`,
    )

  test('a new fork from its beginning, but for the free space map', () => {
    const create = (fork: number): RecordSpec => ({
      resourceManager: 2,
      info: 0x10,
      body: mainData(1663, 5, 7, fork),
    })
    assert.deepEqual([cutsOf(create(0), 11), cutsOf(create(3), 18)], [['7/0:0'], ['7/3:0']])
    assert.deepEqual(cutsOf(create(1), 18), [])
  })

  test('a truncation the main fork there, and the visibility map where it speaks of it', () => {
    const body = mainData(40_000, 1663, 5, 7, 7)
    assert.deepEqual(cutsOf({ resourceManager: 2, info: 0x20, body }, 15), ['7/0:40000', '7/2:1'])
  })

  test('a commit or abort, prepared or not, the relations that go with it', () => {
    const lists = [0, 0, 0b1_0110, 1, 99, 2, 1663, 5, 7, 1663, 5, 8]
    for (const [operation, major] of [
      [0x00, 11],
      [0x20, 13],
      [0x30, 15],
      [0x40, 18],
    ] as const) {
      const spec = { resourceManager: 1, info: operation | 0x80, body: mainData(...lists, 77) }
      assert.deepEqual(cutsOf(spec, major), ['7/0:0', '7/2:0', '7/3:0', '8/0:0', '8/2:0', '8/3:0'])
    }
    const prepare = { resourceManager: 1, info: 0x10 | 0x80, body: mainData(...lists) }
    assert.deepEqual(cutsOf(prepare, 15), [])
  })

  test('a database that comes or goes, each version in its own form', () => {
    const of = (info: number, major: number, ...numbers: number[]): unknown =>
      cutsOf({ resourceManager: 4, info, body: mainData(...numbers) }, major)
    assert.deepEqual(of(0x00, 11, 9, 1663, 1, 1663), ['1663/9'])
    assert.deepEqual(of(0x10, 12, 9, 1663), ['1663/9'])
    assert.deepEqual(of(0x10, 14, 9, 2, 1663, 500), ['1663/9', '500/9'])
    assert.deepEqual(of(0x00, 15, 9, 1663, 1, 1663), ['1663/9'])
    assert.deepEqual(of(0x10, 18, 9, 1663), ['1663/9'])
    assert.deepEqual(of(0x20, 18, 9, 1, 500), ['500/9'])
  })

  test('one that is too short is an error, not a guess', () => {
    const body = mainData(1663)
    assert.throws(() => cutsOf({ resourceManager: 2, info: 0x10, body }, 18), RangeError)
  })
})

suite('a map', () => {
  test('forgets what was written behind a cut, and keeps what is written after it', () => {
    const map = new BlockMap()
    for (const block of [1, 5, 9]) map.mark({ ...MAIN, block })
    map.cut({ kind: 'fork', relation: RELATION, fork: 0, limitBlock: 5 })
    map.mark({ ...MAIN, block: 7 })
    const [entry] = map.entries()
    assert.deepEqual(
      [entry?.limitBlock, [...(entry?.runs ?? [])]],
      [
        5,
        [
          { from: 1, to: 2 },
          { from: 7, to: 8 },
        ],
      ],
    )
    assert.deepEqual(
      [0, 1, 4, 5, 9].map((block) => map.isChanged(MAIN, block)),
      [false, true, false, true, true],
    )
  })

  test('of two stretches is as if they had been read in one', () => {
    const [first, second] = [new BlockMap(), new BlockMap()]
    for (const block of [1, 50]) first.mark({ ...MAIN, block })
    first.cut({ kind: 'fork', relation: RELATION, fork: 0, limitBlock: 100 })
    second.cut({ kind: 'fork', relation: RELATION, fork: 0, limitBlock: 40 })
    second.mark({ ...MAIN, block: 60 })
    second.addDatabase({ tablespaceOid: 1663, databaseOid: 9 })
    first.addAll(second)
    const [entry] = first.entries()
    assert.equal(entry?.limitBlock, 40)
    assert.deepEqual(
      [...(entry?.runs ?? [])],
      [
        { from: 1, to: 2 },
        { from: 60, to: 61 },
      ],
    )
    assert.ok(first.isWhole({ ...RELATION, databaseOid: 9 }))
    assert.ok(first.isChanged({ ...MAIN, databaseOid: 9 }, 3))
  })

  test('names the page of a visibility map that speaks of a changed block', () => {
    const map = new BlockMap()
    map.mark({ ...MAIN, block: 32_672 })
    assert.deepEqual(
      [0, 1, 2].map((block) => map.isChanged(VM, block)),
      [false, true, false],
    )
    map.cut({ kind: 'fork', relation: RELATION, fork: 0, limitBlock: 70_000 })
    assert.deepEqual(
      [0, 1, 2, 3].map((block) => map.isChanged(VM, block)),
      [false, true, true, true],
    )
  })

  test('says nothing of the free space map, and of forks there are not', () => {
    const map = new BlockMap()
    for (const fork of [1, 4, 15]) map.mark({ ...RELATION, fork, block: 0 })
    map.cut({ kind: 'fork', relation: RELATION, fork: 9, limitBlock: 0 })
    assert.equal(map.forkCount, 0)
  })

  test('of more relations than a map takes says so, in little memory', () => {
    const many = Buffer.alloc(12 * 50_000)
    for (let index = 0; index < 50_000; index += 1) many.writeUInt32LE(index + 1, index * 12 + 8)
    const head = Buffer.alloc(5 + 16)
    head.writeUInt8(254, 0)
    head.writeUInt32LE(16 + many.length, 1)
    head.writeUInt32LE(0b100, 5 + 8)
    head.writeUInt32LE(50_000, 5 + 12)
    const body = Buffer.concat([head, many])
    const builder = new SegmentBlocksBuilder(18)
    builder.add(recordOf({ resourceManager: 1, info: 0x80, body }))
    const { problem, map } = builder.finish()
    assert.equal(problem, 'it changes too many relations')
    assert.equal(map.forkCount, 150_000)
  })

  test('of a record that is too short says which', () => {
    const builder = new SegmentBlocksBuilder(18)
    builder.add(recordOf({ resourceManager: 2, info: 0x10, body: mainData(1663) }))
    assert.match(builder.finish().problem ?? '', /^the record at 0\/100028 cannot be read: /)
  })
})
