/**
 * Promise 1, from the disk's side: what was acknowledged is there after a power cut. The receiver writes to a file system on an image
 * file; a copy of the image holds only what had been synced to it.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { type Lsn, parseLsn } from '../../src/postgres/lsn.ts'
import { formatSegmentName, segmentOf, segmentStart } from '../../src/postgres/segment-name.ts'
import { openCluster } from '../../src/repository/cluster-repository.ts'
import { DiskStore } from '../../src/store/disk-store.ts'
import { systemClock } from '../../src/util/clock.ts'
import { readWalFile } from '../../src/wal/read-wal-file.ts'
import { segmentSource } from '../../src/wal/held-wal.ts'
import { recoverSpool, spoolEnds } from '../../src/wal/recover-spool.ts'
import { spoolOf } from '../../src/wal/spool-place.ts'
import { startPostgres, type TestServer } from '../harness/postgres.ts'
import { temporaryDirectory } from '../harness/temporary-directory.ts'
import { isRoot } from '../harness/unprivileged-user.ts'
import { claimFor, SLOT, spawnReceiver, untilReceived } from '../integration/wal/support.ts'

const IMAGE_BYTES = 400 * 1024 * 1024
const canMount = isRoot && existsSync('/dev/loop-control') && existsSync('/usr/sbin/mkfs.ext4')

it(
  'a power cut takes nothing that was acknowledged',
  { skip: !canMount && 'needs root, loop devices and mkfs.ext4' },
  async () => {
    for (let round = 0; round < 3; round += 1) await cutOnce()
  },
)

async function cutOnce(): Promise<void> {
  await using folder = temporaryDirectory()
  await using pg = await startPostgres({ major: 18 })
  const image = join(folder.path, 'image')
  execFileSync('truncate', ['-s', String(IMAGE_BYTES), image])
  execFileSync('mkfs.ext4', ['-q', image])
  const { acknowledged, snapshot } = await receiveAndCut(pg, folder.path, image)
  using after = mount(snapshot, join(folder.path, 'after'))
  assert.ok(!existsSync(join(after.path, 'unsynced')), 'the cut loses what was not synced')
  const store = new DiskStore(after.path)
  const repository = await openCluster(store, 'shop', systemClock)
  const { segmentBytes } = repository.identity
  const name = (lsn: bigint): string =>
    formatSegmentName(segmentOf(lsn as Lsn, { timeline: 1, segmentBytes }), segmentBytes)
  const first = await firstHeld(repository, acknowledged)
  let compared = 0
  for (let at = first as bigint; at < acknowledged; at += BigInt(segmentBytes)) {
    const found = await readWalFile(repository, name(at))
    const primary = readFileSync(join(pg.directory, 'pg_wal', name(at)))
    const length = Math.min(segmentBytes, Number(acknowledged - at))
    assert.ok(found?.content.subarray(0, length).equals(primary.subarray(0, length)), name(at))
    compared += length
  }
  assert.ok(compared > 1000, `${compared} bytes compared`)
  const spool = await recoverSpool(spoolOf(repository), segmentSource(repository))
  const end = spoolEnds(spool, segmentBytes).get(1) as Lsn
  // An acknowledged position may lie inside a record; the receiver then goes on at that record's start.
  assert.ok(acknowledged - end < 100_000n, 'a new receiver goes on where the old one was cut off')
}

async function receiveAndCut(
  pg: TestServer,
  folder: string,
  image: string,
): Promise<{ acknowledged: Lsn; snapshot: string }> {
  using before = mount(image, join(folder, 'before'))
  await claimFor(pg, before.path)
  await using receiver = spawnReceiver(pg, before.path)
  await pg.query('create table load(text text)')
  await untilReceived(pg)
  const end = Date.now() + 500 + Math.random() * 1500
  while (Date.now() < end) {
    await pg.query(
      `insert into load select repeat(md5(random()::text), 50) from generate_series(1, 200)`,
    )
  }
  await receiver.kill('SIGKILL')
  writeFileSync(join(before.path, 'unsynced'), 'not synced')
  const snapshot = join(folder, 'snapshot')
  execFileSync('cp', ['--sparse=always', image, snapshot])
  const [slot] = await pg.query(
    `select restart_lsn::text as lsn from pg_replication_slots where slot_name = '${SLOT}'`,
  )
  return { acknowledged: parseLsn(String(slot?.['lsn'])) as Lsn, snapshot }
}

async function firstHeld(
  repository: Awaited<ReturnType<typeof openCluster>>,
  acknowledged: Lsn,
): Promise<Lsn> {
  const { segmentBytes } = repository.identity
  let segment = segmentOf((acknowledged - 1n) as Lsn, { timeline: 1, segmentBytes })
  for (;;) {
    const before = { ...segment, number: segment.number - 1n }
    const found = await readWalFile(repository, formatSegmentName(before, segmentBytes))
    if (found === undefined) return segmentStart(segment, segmentBytes)
    segment = before
  }
}

function mount(image: string, path: string): Disposable & { readonly path: string } {
  mkdirSync(path)
  execFileSync('mount', ['-o', 'loop', image, path])
  return { path, [Symbol.dispose]: () => void execFileSync('umount', [path]) }
}
