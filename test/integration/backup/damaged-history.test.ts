/** A damaged history file hides the backups of its timeline until the next backup puts the server's in its place: they are not let go meanwhile. */
import assert from 'node:assert/strict'
import { appendFile, open } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { deleteBackup } from '../../../src/backup/expire.ts'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { listBackups } from '../../../src/repository/catalogue.ts'
import { openCluster } from '../../../src/repository/cluster-repository.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { startPostgres, temporaryDirectory, type TestServer } from '../../harness/postgres.ts'
import { until } from '../../harness/until.ts'
import { backUp, giveToServer } from './support.ts'

/** Brings the server onto the next timeline. */
async function recover(pg: TestServer): Promise<void> {
  await pg.stop()
  await appendFile(join(pg.directory, 'postgresql.conf'), "\nrestore_command = 'false'\n")
  await appendFile(join(pg.directory, 'recovery.signal'), '')
  await giveToServer(pg.directory)
  await pg.start()
  await until('promotion', async () => {
    const [row] = await pg.query('select pg_is_in_recovery() as waits')
    return row?.['waits'] === false
  })
}

test('the last backup of a timeline whose history is damaged cannot be deleted', async () => {
  await using directory = temporaryDirectory()
  await using pg = await startPostgres({ major: 18 })
  const repository = join(directory.path, 'repository')
  const old = await backUp(pg, repository)
  await recover(pg)
  const first = await backUp(pg, repository)
  const second = await backUp(pg, repository)
  {
    await using file = await open(join(repository, 'test/wal/00000002.history.zst'), 'r+')
    const { size } = await file.stat()
    await file.write(Buffer.from('XXXX'), 0, 4, Math.floor(size / 2))
  }
  const cluster = await openCluster(new DiskStore(repository), 'test', systemClock)
  await deleteBackup(cluster, first.id, { minimum: 1 })
  await assert.rejects(deleteBackup(cluster, second.id, { minimum: 1 }), (error) =>
    isBackstayError(error, 'BACKUP_NEEDED'),
  )
  const left = await listBackups(cluster)
  assert.deepEqual(left.map(({ info }) => info.id).sort(), [old.id, second.id].sort())
})
