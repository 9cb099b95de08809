/** A full disk stops acknowledging and loses nothing: when there is room again, the receiver goes on by itself. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { listGaps } from '../../src/wal/gaps.ts'
import { startPostgres, type TestServer } from '../harness/postgres.ts'
import { temporaryDirectory } from '../harness/temporary-directory.ts'
import { isRoot } from '../harness/unprivileged-user.ts'
import { until } from '../harness/until.ts'
import {
  assertSameAsPrimary,
  claimFor,
  startReceiver,
  switchWal,
} from '../integration/wal/support.ts'

/** About 20 MB of WAL that does not compress. */
const NOISE = `
  insert into noise select string_agg(md5(random()::text), '') from generate_series(1, 20000) i, generate_series(1, 30) j group by i
`

it(
  'a full disk holds the receiver up and costs nothing',
  { skip: !isRoot && 'mounting a small file system needs root' },
  async () => {
    await using folder = temporaryDirectory()
    using small = mountSmall(join(folder.path, 'small'), '40m')
    await using pg = await startPostgres({ major: 18 })
    await pg.query('create table noise(text text)')
    const repository = await claimFor(pg, small.path)
    await using receiver = startReceiver(pg, repository)
    for (let round = 0; round < 4; round += 1) await pg.query(NOISE)
    const problem = await until('the receiver to find the disk full', async () => {
      const status = await receiver.status()
      return status?.lastError
    })
    assert.equal(problem.code, 'DISK_SPACE', problem.message)
    const held = await unacknowledged(pg)
    assert.ok(held > 1024 * 1024, `${held} bytes are not acknowledged`)

    execFileSync('mount', ['-o', 'remount,size=600m', small.path])
    const last = await switchWal(pg)
    await assertSameAsPrimary(pg, repository, last)
    assert.deepEqual(await listGaps(repository), [])
  },
)

async function unacknowledged(pg: TestServer): Promise<number> {
  const [row] = await pg.query(
    'select (pg_current_wal_flush_lsn() - restart_lsn)::float as bytes from pg_replication_slots',
  )
  return Number(row?.['bytes'])
}

function mountSmall(path: string, size: string): Disposable & { readonly path: string } {
  mkdirSync(path)
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path])
  return { path, [Symbol.dispose]: () => void execFileSync('umount', ['-l', path]) }
}
