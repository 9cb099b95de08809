/** One bit that was wrong before a segment was stored is found by verification, also in WAL after the end of the backup. */
import assert from 'node:assert/strict'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { verifyBackup } from '../../src/backup/verify/verify-backup.ts'
import { type ClusterRepository, openCluster } from '../../src/repository/cluster-repository.ts'
import { compressFrame } from '../../src/repository/codec.ts'
import { DiskStore } from '../../src/store/disk-store.ts'
import { systemClock } from '../../src/util/clock.ts'
import { pushWalFile } from '../../src/wal/push.ts'
import { startPostgres } from '../harness/postgres.ts'
import { temporaryDirectory } from '../harness/temporary-directory.ts'
import { backUp } from '../integration/backup/support.ts'
import { LOAD, switchWal } from '../integration/wal/support.ts'

const FLIPS = 12

/** Puts a segment with one bit changed in the place of the object, as a disk or memory would have done before it was compressed. */
async function flip(
  { wal, names, store }: ClusterRepository,
  name: string,
  at: number,
): Promise<Disposable> {
  const path = join(store.location, names.walSegment(name))
  const before = readFileSync(path)
  const content = (await wal.getSegment(name)) as Buffer
  content.writeUInt8(content.readUInt8(at) ^ 4, at)
  const place = (bytes: Buffer): void => {
    writeFileSync(`${path}.new`, bytes)
    renameSync(`${path}.new`, path)
  }
  place(compressFrame(content))
  return { [Symbol.dispose]: () => place(before) }
}

it(`finds each of ${FLIPS} flipped bits in WAL behind a backup, and names the segment`, async () => {
  await using folder = temporaryDirectory()
  await using pg = await startPostgres({
    major: 18,
    initdbArguments: ['--wal-segsize=1'],
    settings: { wal_keep_size: '200MB' },
  })
  const info = await backUp(pg, folder.path)
  await pg.query(LOAD)
  const last = await switchWal(pg)
  const stop = Number(info.stopLsn / 1048576n)
  const all = Array.from({ length: Number.parseInt(last.slice(16), 16) - stop + 1 }, (_, index) =>
    last.slice(0, 16).concat((stop + index).toString(16).toUpperCase().padStart(8, '0')),
  )
  const verify = async (): Promise<readonly { subject: string; problem: string }[]> => {
    const cluster = await openCluster(new DiskStore(folder.path), 'test', systemClock)
    const options = { samplePercent: 1, seed: 0, sinceMs: undefined, onProgress: () => undefined }
    const signal = AbortSignal.timeout(60_000)
    const { problems, walSegments } = await verifyBackup(cluster, info.id, { ...options, signal })
    assert.ok(walSegments >= all.length, `${walSegments} segments read`)
    return problems
  }
  const repository = await openCluster(new DiskStore(folder.path), 'test', systemClock)
  for (const name of all) await pushWalFile(repository, join(pg.directory, 'pg_wal', name))
  assert.ok(all.length > 10, `${all.length} segments`)
  assert.deepEqual(await verify(), [])
  for (let index = 0; index < FLIPS; index += 1) {
    const name = all[1 + (index % (all.length - 2))] as string
    using _flipped = await flip(repository, name, 3000 + index * 80_000)
    const [problem] = await verify()
    assert.ok(
      problem?.subject.includes(name.slice(8)) === true,
      `flip in ${name}: ${problem?.subject}`,
    )
  }
})
