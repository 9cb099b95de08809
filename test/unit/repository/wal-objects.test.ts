import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { clusterNames } from '../../../src/repository/format.ts'
import { WalObjects } from '../../../src/repository/wal-objects.ts'
import { MemoryStore } from '../../../src/store/memory-store.ts'

const SEGMENT_BYTES = 1024 * 1024
const NAME = '000000010000000A000000F3'
const names = clusterNames('shop')

function open() {
  const store = new MemoryStore()
  return { store, wal: new WalObjects(store, names, SEGMENT_BYTES) }
}

const segment = (fill: number): Buffer => Buffer.alloc(SEGMENT_BYTES, fill)
const isConflict = (error: unknown) => isBackstayError(error, 'WAL_CONFLICT')

describe('WalObjects', () => {
  it('gives back the segment that was put, under the documented name', async () => {
    const { store, wal } = open()
    const content = randomBytes(SEGMENT_BYTES)
    assert.equal(await wal.putSegment(NAME, content), 'stored')
    assert.ok((await wal.getSegment(NAME))?.equals(content))
    assert.ok(await wal.hasSegment(NAME))
    assert.notEqual(await store.size(`shop/wal/00000001/0000000A/${NAME}.zst`), undefined)
  })

  it('takes the same content twice', async () => {
    const { wal } = open()
    await wal.putSegment(NAME, segment(1))
    assert.equal(await wal.putSegment(NAME, segment(1)), 'present')
  })

  it('refuses other content and changes nothing', async () => {
    const { wal } = open()
    await wal.putSegment(NAME, segment(1))
    await assert.rejects(wal.putSegment(NAME, segment(2)), isConflict)
    assert.ok((await wal.getSegment(NAME))?.equals(segment(1)))
  })

  it('refuses a segment of the wrong length', async () => {
    const { wal } = open()
    await assert.rejects(wal.putSegment(NAME, Buffer.alloc(10)), (error) =>
      isBackstayError(error, 'WAL_INVALID'),
    )
    assert.equal(await wal.getSegment(NAME), undefined)
  })

  it('notices a damaged segment', async () => {
    const { store, wal } = open()
    await wal.putSegment(NAME, randomBytes(SEGMENT_BYTES))
    const object = names.walSegment(NAME)
    const frame = (await store.get(object)) ?? Buffer.alloc(0)
    frame[1000] = (frame[1000] ?? 0) ^ 4
    await store.delete(object)
    await store.put(object, frame)
    await assert.rejects(wal.getSegment(NAME), (error) =>
      isBackstayError(error, 'REPOSITORY_DAMAGED'),
    )
    await assert.rejects(wal.putSegment(NAME, segment(1)), (error) =>
      isBackstayError(error, 'REPOSITORY_DAMAGED'),
    )
  })

  it('keeps partials by their length and gives back the longest, filled with zeros', async () => {
    const { wal } = open()
    const content = randomBytes(20_000).fill(7, 19_000)
    await wal.putPartial(NAME, content.subarray(0, 9000))
    await wal.putPartial(NAME, Buffer.concat([content, Buffer.alloc(SEGMENT_BYTES - 20_000)]))
    const found = await wal.getPartial(NAME)
    assert.equal(found?.length, SEGMENT_BYTES)
    assert.ok(found?.subarray(0, 20_000).equals(content))
    assert.ok(found?.subarray(20_000).every((byte) => byte === 0))
    assert.deepEqual(await wal.listPartials('00000001'), [
      { segment: NAME, bytes: 9000 },
      { segment: NAME, bytes: 24_576 },
    ])
  })

  it('refuses a partial of the same length with other content', async () => {
    const { wal } = open()
    await wal.putPartial(NAME, Buffer.alloc(8192, 1))
    assert.equal(await wal.putPartial(NAME, Buffer.alloc(8192, 1)), 'present')
    await assert.rejects(wal.putPartial(NAME, Buffer.alloc(8192, 2)), isConflict)
  })

  it('lists finished segments in LSN order and nothing else', async () => {
    const { wal } = open()
    const all = ['000000010000000A000000F3', '0000000100000009000000FF', '000000010000000A00000000']
    for (const name of all) await wal.putSegment(name, segment(1))
    await wal.putSegment('000000020000000A000000F3', segment(2))
    await wal.putPartial('000000010000000A000000F4', Buffer.alloc(8192, 1))
    await wal.putBackupHistory('000000010000000A000000F3.00000028.backup', Buffer.from('label'))
    await wal.putHistory(2, Buffer.from('1\t0/3000000\tx\n'))
    const listed: string[] = []
    for await (const name of wal.listSegments('00000001')) listed.push(name)
    assert.deepEqual(listed, all.sort())
    assert.deepEqual(await wal.listTimelines(), ['00000001', '00000002'])
    assert.deepEqual(await wal.listHistories(), [2])
    assert.equal((await wal.getHistory(2))?.toString(), '1\t0/3000000\tx\n')
    const label = await wal.getBackupHistory('000000010000000A000000F3.00000028.backup')
    assert.equal(label?.toString(), 'label')
  })

  it('has nothing that was not put', async () => {
    const { wal } = open()
    assert.equal(await wal.getSegment(NAME), undefined)
    assert.equal(await wal.getPartial(NAME), undefined)
    assert.equal(await wal.getHistory(2), undefined)
    assert.deepEqual(await wal.listTimelines(), [])
    assert.equal(await wal.deleteSegment(NAME), false)
  })

  it('refuses another history of the same timeline', async () => {
    const { wal } = open()
    await wal.putHistory(2, Buffer.from('1\t0/3000000\tx\n'))
    await assert.rejects(wal.putHistory(2, Buffer.from('1\t0/4000000\tx\n')), isConflict)
  })
})
