import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { claimCluster } from '../../../src/repository/cluster-repository.ts'
import { copyObject, copyWalObject, listWalObjects } from '../../../src/repository/copy.ts'
import { clusterNames } from '../../../src/repository/format.ts'
import { WalObjects } from '../../../src/repository/wal-objects.ts'
import { compressFrame } from '../../../src/repository/codec.ts'
import { MemoryStore } from '../../harness/memory-store.ts'
import { systemClock } from '../../../src/util/clock.ts'

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

  it('puts a history file in place of one that cannot be used, and of no other', async () => {
    const { store, wal } = open()
    const object = names.walHistory(2)
    const content = Buffer.from('1\t0/3000000\tno recovery target specified\n')
    const other = Buffer.from('1\t0/4000000\tno recovery target specified\n')
    assert.equal(await wal.putHistory(2, content), 'stored')
    await assert.rejects(wal.putHistory(2, other), isConflict)
    for (const damaged of [Buffer.from('XXXX'), compressFrame(Buffer.from('no history'))]) {
      await store.replace(object, damaged)
      assert.equal(await wal.putHistory(2, content), 'replaced')
      assert.deepEqual(await wal.getHistory(2), content)
      assert.equal(await wal.putHistory(2, content), 'present')
      const aside = (await store.listObjects(names.wal)).filter((name) => /damaged/.test(name))
      const kept = await Promise.all(
        aside.map(async (name) => store.get(`${names.wal}/${name}`, 2 ** 21)),
      )
      assert.ok(kept.some((one) => one?.equals(damaged)))
    }
    assert.deepEqual(await wal.listHistories(), [2])
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
    const frame = (await store.get(object, 2 ** 21)) ?? Buffer.alloc(0)
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
    // A partial ends where only zeros follow: neither of the two may end with one.
    const content = randomBytes(20_000).fill(7, 8999, 9000).fill(7, 19_000)
    await wal.putPartial(NAME, content.subarray(0, 9000))
    await wal.putPartial(NAME, Buffer.concat([content, Buffer.alloc(SEGMENT_BYTES - 20_000)]))
    const found = await wal.getPartial(NAME)
    assert.equal(found?.length, SEGMENT_BYTES)
    assert.ok(found?.subarray(0, 20_000).equals(content))
    assert.ok(found?.subarray(20_000).every((byte) => byte === 0))
    const listed = await wal.listPartials('00000001')
    assert.deepEqual(
      listed.map(({ segment, bytes }) => ({ segment, bytes })),
      [
        { segment: NAME, bytes: 9000 },
        { segment: NAME, bytes: 20_000 },
      ],
    )
  })

  it('keeps partials of the same length with other content beside each other', async () => {
    const { wal } = open()
    assert.equal(await wal.putPartial(NAME, Buffer.alloc(8192, 1)), 'stored')
    assert.equal(await wal.putPartial(NAME, Buffer.alloc(8192, 1)), 'present')
    assert.equal(await wal.putPartial(NAME, Buffer.alloc(8192, 2)), 'stored')
    const partials = await wal.listPartials('00000001')
    assert.equal(partials.length, 2)
    for (const partial of partials) assert.equal(await wal.deletePartial(partial), true)
    assert.deepEqual(await wal.listPartials('00000001'), [])
  })

  it('reads and deletes partials under their earlier names', async () => {
    const { store, wal } = open()
    const name = clusterNames('shop').walPartial({ segment: NAME, bytes: 8192 })
    assert.match(name, /\.00002000\.partial\.zst$/)
    await store.put(name, compressFrame(Buffer.alloc(8192, 1)))
    const held = await wal.getPartial(NAME)
    assert.ok(held?.subarray(0, 8192).equals(Buffer.alloc(8192, 1)))
    assert.deepEqual(await wal.listPartials('00000001'), [{ segment: NAME, bytes: 8192 }])
    assert.equal(await wal.deletePartial({ segment: NAME, bytes: 8192 }), true)
  })

  it('gives back the next shorter partial when the longest is damaged', async () => {
    const { store, wal } = open()
    await wal.putPartial(NAME, Buffer.alloc(8192, 1))
    const name = clusterNames('shop').walPartial({ segment: NAME, bytes: 9000 })
    await store.put(name, Buffer.from('damaged'))
    assert.equal((await wal.getPartial(NAME))?.readUInt8(8191), 1)
    for (const partial of await wal.listPartials('00000001')) {
      if (partial.bytes === 8192) await wal.deletePartial(partial)
    }
    await assert.rejects(wal.getPartial(NAME), (error) =>
      isBackstayError(error, 'REPOSITORY_DAMAGED'),
    )
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

  it('unpacks nothing that is larger than what its name can mean', async () => {
    const { store, wal } = open()
    const bomb = compressFrame(Buffer.alloc(64 * 1024 * 1024))
    assert.ok(bomb.length < 64 * 1024)
    const label = `${NAME}.00000028.backup`
    await store.put(names.walHistory(2), bomb)
    await store.put(names.walBackupHistory(label), bomb)
    await store.put(names.walSegment(NAME), bomb)
    const isDamage = (error: unknown) => isBackstayError(error, 'REPOSITORY_DAMAGED')
    await assert.rejects(wal.getHistory(2), isDamage)
    await assert.rejects(wal.getBackupHistory(label), isDamage)
    assert.equal(await wal.putHistory(2, Buffer.from('1\t0/3000000\tx\n')), 'replaced')
    await assert.rejects(wal.putSegment(NAME, segment(1)), isDamage)
  })

  it('copies no object of a primary that unpacks to more', async () => {
    const store = new MemoryStore()
    const cluster = await claimCluster({
      store,
      name: 'shop',
      server: { systemIdentifier: '7', major: 18, segmentBytes: SEGMENT_BYTES },
      clock: systemClock,
    })
    const bomb = compressFrame(Buffer.alloc(64 * 1024 * 1024))
    const partial = cluster.names.walPartial({
      segment: NAME,
      bytes: 8192,
      fingerprint: 'A'.repeat(16),
    })
    const primary = new MemoryStore()
    const partialObject = { object: partial, file: `${NAME}.partial` }
    for (const one of [
      { object: cluster.names.walHistory(2), file: '00000002.history' },
      partialObject,
      { object: cluster.names.walSegment(NAME), file: NAME },
    ]) {
      await primary.put(one.object, bomb)
      await assert.rejects(copyWalObject(primary, cluster, one), (error) => {
        assert.ok(isBackstayError(error, 'REPOSITORY_DAMAGED'), String(error))
        return /larger than|[Cc]annot create a Buffer/.test(error.message)
      })
      assert.equal(await store.size(one.object), undefined)
    }
    await primary.replace(partial, compressFrame(Buffer.alloc(SEGMENT_BYTES, 1)))
    assert.ok(await copyWalObject(primary, cluster, partialObject))
    assert.notEqual(await store.size(partial), undefined)
  })

  it('lists for a copy what is called as we would call it, and copies no other object', async () => {
    const store = new MemoryStore()
    const server = { systemIdentifier: '7', major: 18, segmentBytes: SEGMENT_BYTES }
    const cluster = await claimCluster({ store, name: 'shop', server, clock: systemClock })
    await cluster.wal.putPartial(NAME, segment(1))
    const history = cluster.names.walHistory(2)
    for (const name of [
      history,
      cluster.names.walPushed(NAME),
      'shop/wal/00000002.history/x.zst',
      `shop/wal/00000001/${NAME}.zst`,
    ]) {
      await store.put(name, Buffer.from('x'))
    }
    const files = (await listWalObjects(cluster)).map(({ file }) => file)
    assert.deepEqual(files, ['00000002.history', `${NAME}.partial`])
    const gone = { object: cluster.names.walHistory(3), file: '00000003.history' }
    assert.equal(await copyWalObject(store, cluster, gone), false)
    const big = Buffer.alloc(9_000_000, 'backstay')
    const other = new MemoryStore()
    await store.put('shop/packs/a', big)
    assert.equal(await copyObject(store, other, 'shop/packs/a'), true)
    assert.ok((await other.get('shop/packs/a', big.length))?.equals(big))
    assert.equal(await copyObject(store, other, 'shop/packs/b'), false)
  })
})
