/** Segments of 64 MB and of 1 GB, the largest there are: received, pushed, judged, fetched and replayed, in bounded memory. */
import assert from 'node:assert/strict'
import { readFileSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { pushWalContent, pushWalFile } from '../../../src/wal/push.ts'
import { availableMajors, startPostgres } from '../../harness/postgres.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { until } from '../../harness/until.ts'
import {
  claimFor,
  copyDirectory,
  giveToServer,
  LOAD,
  recover,
  restoreCommandFor,
  spawnReceiver,
  switchWal,
  untilReceived,
} from './support.ts'

const MB = 1024 * 1024
/** A server keeps a few segments, the repository, the spool and the restored copy one or two each. */
const SEGMENTS_ON_DISK = 16
/** What a receiver may hold: few segments, and what Node.js needs itself. */
const SEGMENTS_IN_MEMORY = 4
const BASE_BYTES = 300 * MB

function whyNot(segmentBytes: number): string | false {
  if (!availableMajors().includes(18)) return 'not installed'
  const { bavail, bsize } = statfsSync(tmpdir())
  const wanted = SEGMENTS_ON_DISK * segmentBytes
  return bavail * bsize < wanted && `the disk has less than ${wanted / MB} MB left`
}

/** The most memory a process had at once. */
function peakBytes(pid: number): number {
  const kilobytes = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kilobytes) * 1024
}

for (const megabytes of [64, 1024]) {
  describe(`WAL segments of ${megabytes} MB`, { skip: whyNot(megabytes * MB) }, () => {
    it('are received, pushed, judged, fetched and replayed', async (t) => {
      const segmentBytes = megabytes * MB
      await using folder = temporaryDirectory()
      await using copy = temporaryDirectory()
      await using pg = await startPostgres({
        major: 18,
        initdbArguments: [`--wal-segsize=${megabytes}`],
        settings: {
          min_wal_size: `${2 * megabytes}MB`,
          max_wal_size: `${4 * megabytes}MB`,
          wal_keep_size: `${2 * megabytes}MB`,
        },
      })
      await pg.stop()
      copyDirectory(pg.directory, join(copy.path, 'data'))
      await pg.start()
      const path = join(folder.path, 'repository')
      const repository = await claimFor(pg, path)
      {
        await using receiver = spawnReceiver(pg, path)
        await until('the receiver', async () => {
          const rows = await pg.query('select 1 from pg_stat_replication')
          return rows.length > 0
        })
        await pg.query(LOAD)
        const name = await switchWal(pg)
        await pg.query('create table last as select 42 as answer')
        await until(`${name} to be stored`, () => repository.wal.hasSegment(name), 180_000)
        await untilReceived(pg)
        const peak = peakBytes(receiver.child.pid as number)
        t.diagnostic(`the receiver had ${Math.round(peak / MB)} MB`)
        assert.ok(peak < SEGMENTS_IN_MEMORY * segmentBytes + BASE_BYTES, `${peak / MB} MB`)
        const file = join(pg.directory, 'pg_wal', name)
        assert.equal(await pushWalFile(repository, file), 'present')
        const content = readFileSync(file)
        assert.ok((await repository.wal.getSegment(name))?.equals(content))
        const at = content.indexOf('load', 8192)
        content[at] = (content[at] ?? 0) ^ 1
        await assert.rejects(pushWalContent(repository, name, content), (error) =>
          isBackstayError(error, 'WAL_INVALID'),
        )
        await pg.kill()
        await receiver.kill('SIGTERM')
      }
      giveToServer(path)
      const command = restoreCommandFor(path)
      await using restored = await recover(18, join(copy.path, 'data'), { command })
      assert.deepEqual(await restored.query('select answer from last'), [{ answer: 42 }])
      assert.deepEqual(await restored.query('select count(*)::int as rows from load'), [
        { rows: 20_000 },
      ])
    })
  })
}
