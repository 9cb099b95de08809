import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { BlockMap } from '../../../src/postgres/block-map.ts'
import { toLsn } from '../../../src/postgres/lsn.ts'
import type { SegmentBlocks } from '../../../src/postgres/segment-blocks.ts'
import { encodeSegmentBlocks } from '../../../src/repository/block-map-bytes.ts'
import { openBlockMap, sealBlockMap } from '../../../src/repository/block-map-object.ts'
import { compressFrame, decompressUnknownAsync } from '../../../src/repository/codec.ts'

const PLACE = {
  systemIdentifier: '7000000000000000007',
  major: 18,
  segment: '0000000100000000000000AB',
  segmentChecksum: 0xfedc_ba98,
  segmentBytes: 1024 * 1024,
}
const SPAN = {
  previousLsn: toLsn(0xa00_0000n),
  firstLsn: toLsn(0xab0_0028n),
  lastLsn: toLsn(0xabf_ff00n),
  endLsn: toLsn(0xabf_ff80n),
}

const spelled = (map: BlockMap): unknown =>
  [...map.entries()].map((entry) => ({ ...entry, runs: [...entry.runs] }))

async function roundTrip(blocks: SegmentBlocks): Promise<SegmentBlocks | undefined> {
  const encoded = encodeSegmentBlocks(blocks) ?? assert.fail('too large')
  return await openBlockMap(await sealBlockMap(PLACE, encoded), 'x', PLACE)
}

const isDamage = (error: unknown): boolean => isBackstayError(error, 'REPOSITORY_DAMAGED')

suite('the object of a block map', () => {
  test('reads as it was written', async () => {
    const number = fc.nat(2 ** 32 - 2)
    const mark = fc.record({
      tablespaceOid: fc.nat(3),
      databaseOid: number,
      fileNumber: fc.nat(5),
      fork: fc.nat(3),
      block: fc.oneof(fc.nat(3000), number),
      isCut: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(mark, { maxLength: 60 }), async (marks) => {
        const map = new BlockMap()
        for (const { isCut, block, fork, ...relation } of marks) {
          if (isCut) map.cut({ kind: 'fork', relation, fork, limitBlock: block })
          else map.mark({ ...relation, fork, block })
        }
        map.addDatabase({ tablespaceOid: 1663, databaseOid: 7 })
        const walLevels = [{ lsn: toLsn(5n), endLsn: toLsn(9n), walLevel: 'minimal' as const }]
        const stops = [toLsn(7n), toLsn(0xffff_ffff_ffff_fff8n)]
        const read = await roundTrip({ span: SPAN, walLevels, stops, map })
        assert.deepEqual([read?.span, read?.walLevels, read?.stops], [SPAN, walLevels, stops])
        assert.deepEqual(spelled(read?.map ?? assert.fail()), spelled(map))
        assert.deepEqual([...(read?.map.databases ?? [])], [...map.databases])
      }),
      { numRuns: 60 },
    )
  })

  test('of a segment in which no record ends says so', async () => {
    const read = await roundTrip({ span: undefined, walLevels: [], stops: [], map: new BlockMap() })
    assert.equal(read?.span, undefined)
  })

  test('of another content, another segment or another cluster is not used', async () => {
    const encoded = encodeSegmentBlocks({
      span: SPAN,
      walLevels: [],
      stops: [],
      map: new BlockMap(),
    })
    const frame = await sealBlockMap(PLACE, encoded ?? assert.fail())
    for (const other of [
      { segmentChecksum: 1 },
      { segment: '0000000200000000000000AB' },
      { systemIdentifier: '7000000000000000008' },
      { major: 17 },
    ]) {
      assert.equal(await openBlockMap(frame, 'x', { ...PLACE, ...other }), undefined)
    }
  })

  test('that is damaged is an error, whichever byte it is', async () => {
    const map = new BlockMap()
    for (let block = 0; block < 500; block += 3) {
      map.mark({ tablespaceOid: 1663, databaseOid: 5, fileNumber: 9, fork: 0, block })
    }
    const encoded =
      encodeSegmentBlocks({ span: SPAN, walLevels: [], stops: [], map }) ?? assert.fail()
    const content = await decompressUnknownAsync(await sealBlockMap(PLACE, encoded), 'x', 2 ** 20)
    for (let at = 0; at < content.length; at += 1) {
      const changed = Buffer.from(content)
      changed.writeUInt8((changed[at] ?? 0) ^ 0x10, at)
      await assert.rejects(openBlockMap(compressFrame(changed), 'x', PLACE), isDamage)
    }
    await assert.rejects(openBlockMap(Buffer.from('nothing'), 'x', PLACE), isDamage)
  })

  test('that names more blocks than its WAL can hold is refused before it takes memory', async () => {
    const map = new BlockMap()
    const place = { tablespaceOid: 1663, databaseOid: 5, fileNumber: 9, fork: 0 }
    map.addEntry({ ...place, limitBlock: undefined, runs: [{ from: 0, to: 200_000 }] })
    await assert.rejects(roundTrip({ span: SPAN, walLevels: [], stops: [], map }), isDamage)
  })
})
