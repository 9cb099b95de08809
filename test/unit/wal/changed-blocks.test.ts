/** When the map vouches, and what it says when it does not. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { formatLsn, toLsn } from '../../../src/postgres/lsn.ts'
import { claimCluster, type ClusterRepository } from '../../../src/repository/cluster-repository.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { changedBlocks } from '../../../src/wal/changed-blocks.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import {
  blockReference,
  mainData,
  type RecordSpec,
  SWITCH,
  WalBuilder,
} from '../postgres/wal-builder.ts'

const MIB = 1024 * 1024
const START = BigInt(MIB)
const nameOf = (number: number, timeline = 1): string =>
  `${String(timeline).padStart(8, '0')}00000000${number.toString(16).toUpperCase().padStart(8, '0')}`

async function open(directory: string): Promise<ClusterRepository> {
  return await claimCluster({
    store: new DiskStore(directory),
    name: 'shop',
    server: { systemIdentifier: '0', major: 18, segmentBytes: MIB },
    clock: systemClock,
  })
}

/** Changes one block of relation 7; `bytes` long at least. */
function change(block: number, bytes = 0): RecordSpec {
  const long = Buffer.alloc(5 + bytes, 254)
  long.writeUInt32LE(bytes, 1)
  return { body: Buffer.concat([blockReference([1663, 5, 7, block]), long]) }
}

/** Segments 1 to `count`, in each one record of its own and one that goes on in the next. */
function chain(count: number): { wal: WalBuilder; starts: bigint[] } {
  const wal = new WalBuilder(START)
  const starts: bigint[] = []
  for (let number = 1; number <= count; number += 1) {
    starts.push(wal.record(change(number)))
    const left = Number(BigInt(number + 1) * START - wal.position)
    wal.record(change(100 + number, left - 2000))
    wal.record(change(200 + number, 4000))
  }
  wal.record(change(999))
  wal.fill('segment')
  return { wal, starts }
}

async function put(
  repository: ClusterRepository,
  wal: WalBuilder,
  numbers: number[],
): Promise<void> {
  for (const number of numbers) {
    const from = (number - 1) * MIB
    await repository.wal.putSegment(nameOf(number), wal.bytes.subarray(from, from + MIB))
  }
}

async function ask(
  repository: ClusterRepository,
  [startLsn, endLsn]: readonly [bigint, bigint],
  timeline = 1,
): Promise<{ blocks?: number[]; reason?: string }> {
  const range = { timeline, startLsn: toLsn(startLsn), endLsn: toLsn(endLsn) }
  const { map, reason } = await changedBlocks(repository, range)
  if (map === undefined) return { reason }
  const runs = [...map.entries()].flatMap((entry) => [...entry.runs])
  return {
    blocks: runs.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, i) => from + i)),
  }
}

suite('the changed blocks', () => {
  test('of a range are those of all records that end in its segments', async () => {
    await using folder = temporaryDirectory()
    const repository = await open(folder.path)
    const { wal, starts } = chain(3)
    await put(repository, wal, [1, 2, 3])
    const end = starts[2] ?? assert.fail()
    assert.deepEqual((await ask(repository, [START, end])).blocks, [1, 2, 3, 101, 102, 201, 202])
    const { store, names } = repository
    for (const number of [1, 2, 3]) assert.ok(await store.size(names.walBlocks(nameOf(number))))
    // The maps that were made are enough: a segment that cannot be read any more is not needed.
    assert.deepEqual((await ask(repository, [START, end])).blocks?.length, 7)
  })

  test('are not known over a hole, nor behind what is held', async () => {
    await using folder = temporaryDirectory()
    const repository = await open(folder.path)
    const { wal } = chain(4)
    await put(repository, wal, [1, 2, 4])
    assert.match(
      (await ask(repository, [START, START * 4n])).reason ?? '',
      /"0{7}1.*3" is not held/,
    )
    assert.match(
      (await ask(repository, [START * 4n, START * 5n])).reason ?? '',
      /from 0\/400000 to 0\/4\w+ is not held/,
    )
    const last = await ask(repository, [START * 2n + 40n, START * 3n])
    assert.ok(last.reason?.includes('ends at'), last.reason)
  })

  test('are not known where a segment is damaged, unless its map was made before', async () => {
    await using folder = temporaryDirectory()
    const repository = await open(folder.path)
    const { wal, starts } = chain(3)
    await put(repository, wal, [1, 3])
    const damaged = Buffer.from(wal.bytes.subarray(MIB, 2 * MIB))
    damaged.writeUInt8(1, 3000)
    await repository.wal.putSegment(nameOf(2), damaged)
    const asked = [START, starts[2] ?? assert.fail()] as const
    assert.match(
      (await ask(repository, asked)).reason ?? '',
      /2" is damaged: the record at .* has a wrong CRC/,
    )
    await repository.wal.setAside(nameOf(2), 'damaged')
    await put(repository, wal, [2])
    assert.equal((await ask(repository, asked)).blocks?.length, 7)
  })

  test('are made anew where the map is damaged, or of another content', async () => {
    await using folder = temporaryDirectory()
    const repository = await open(folder.path)
    const { wal, starts } = chain(2)
    await put(repository, wal, [1, 2])
    const asked = [START, starts[1] ?? assert.fail()] as const
    const right = await ask(repository, asked)
    const { store, names } = repository
    const first = await store.get(names.walBlocks(nameOf(1)), MIB)
    await store.replace(names.walBlocks(nameOf(1)), Buffer.from('damaged'))
    await store.replace(names.walBlocks(nameOf(2)), first ?? assert.fail())
    assert.deepEqual(await ask(repository, asked), right)
    assert.deepEqual(await store.get(names.walBlocks(nameOf(1)), MIB), first)
  })

  test('go with the segment when it is deleted or makes room', async () => {
    await using folder = temporaryDirectory()
    const repository = await open(folder.path)
    const { wal, starts } = chain(2)
    await put(repository, wal, [1, 2])
    await ask(repository, [START, starts[1] ?? assert.fail()])
    await repository.wal.setAside(nameOf(1), 'pushed')
    await repository.wal.deleteSegment(nameOf(2))
    const { store, names } = repository
    for (const number of [1, 2]) {
      assert.equal(await store.size(names.walBlocks(nameOf(number))), undefined)
    }
  })

  test('of WAL written under wal_level = minimal are not known, of what comes before and after they are', async () => {
    await using folder = temporaryDirectory()
    const repository = await open(folder.path)
    const level = (walLevel: number): RecordSpec => ({
      resourceManager: 0,
      info: 0x60,
      body: mainData(100, 8, 10, 0, 64, walLevel, 0),
    })
    const wal = new WalBuilder(START)
    wal.record(change(1))
    const minimal = wal.record(level(0))
    wal.record(change(2))
    const replica = wal.record(level(1))
    wal.record(change(3))
    wal.record(SWITCH)
    wal.fill('segment')
    await put(repository, wal, [1])
    assert.match((await ask(repository, [START, START * 2n])).reason ?? '', /minimal/)
    assert.ok((await ask(repository, [START, minimal])).blocks)
    assert.ok((await ask(repository, [replica, START * 2n])).blocks)
  })

  test('of a record that goes through a whole segment belong to the one it ends in', async () => {
    await using folder = temporaryDirectory()
    const repository = await open(folder.path)
    const wal = new WalBuilder(START)
    wal.record(change(1))
    wal.record(change(2, 2.5 * MIB))
    const after = wal.record(change(3))
    wal.record(SWITCH)
    wal.fill('segment')
    await put(repository, wal, [1, 2, 3])
    assert.deepEqual(await ask(repository, [START, after]), { blocks: [1, 2, 3] })
    const { store, names } = repository
    await store.delete(names.walBlocks(nameOf(3)))
    assert.deepEqual((await ask(repository, [START * 3n, after])).blocks, [2, 3])
  })

  test('follow the timelines of the history', async () => {
    await using folder = temporaryDirectory()
    const repository = await open(folder.path)
    const wal = new WalBuilder(START)
    wal.record(change(1))
    wal.record(change(2, MIB))
    const left = wal.record(change(3))
    wal.timeline = 2
    const after = wal.record(change(4, 20_000))
    wal.record(SWITCH)
    wal.fill('segment')
    await put(repository, wal, [1])
    await repository.wal.putHistory(2, Buffer.from(`1\t${formatLsn(toLsn(left))}\tx\n`))
    const missing = await ask(repository, [START, after], 2)
    assert.match(missing.reason ?? '', /"0{7}20.*2" is not held/)
    await repository.wal.putSegment(nameOf(2, 2), wal.bytes.subarray(MIB))
    assert.deepEqual(await ask(repository, [START, after], 2), { blocks: [1, 2, 3, 4] })
    const unknown = await ask(repository, [START, after], 9)
    assert.match(unknown.reason ?? '', /timeline 9 is not held/)
  })

  test('of a segment that is not finished are known as far as it goes', async () => {
    await using folder = temporaryDirectory()
    const repository = await open(folder.path)
    const wal = new WalBuilder(START)
    wal.record(change(1))
    const end = wal.position
    await repository.wal.putPartial(nameOf(1), wal.bytes)
    assert.deepEqual((await ask(repository, [START, end])).blocks, [1])
    assert.match((await ask(repository, [START, end + 8n])).reason ?? '', /ends at/)
    const { store, names } = repository
    assert.equal(await store.size(names.walBlocks(nameOf(1))), undefined)
  })
})
