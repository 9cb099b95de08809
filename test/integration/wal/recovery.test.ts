/** Real recoveries with `wal get` as restore_command: they reach the last record the receiver had, through every kind of file. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { matrixMajors, startPostgres } from '../../harness/postgres.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import {
  claimFor,
  cloneStandby,
  copyDirectory,
  giveToServer,
  LOAD,
  promote,
  recover,
  restoreCommandFor,
  startReceiver,
  untilReceived,
} from './support.ts'

for (const major of matrixMajors()) {
  describe(`recovery on PostgreSQL ${major}`, () => {
    it('reaches the last record in the spool of a receiver that was stopped', async () => {
      await using folder = temporaryDirectory()
      await using copy = temporaryDirectory()
      await using pg = await startPostgres({ major })
      await pg.stop()
      copyDirectory(pg.directory, join(copy.path, 'data'))
      await pg.start()
      {
        await using _receiver = startReceiver(pg, await claimFor(pg, folder.path))
        // Up to 14 it begins where the server is when it comes.
        await untilReceived(pg)
        await pg.query(LOAD)
        await pg.query(LOAD)
        await pg.query('create table last as select 42 as answer')
        await untilReceived(pg)
        await pg.kill()
      }
      giveToServer(folder.path)
      const command = restoreCommandFor(folder.path)
      await using restored = await recover(major, join(copy.path, 'data'), { command })
      assert.deepEqual(await restored.query('select answer from last'), [{ answer: 42 }])
      assert.deepEqual(await restored.query('select count(*)::int as rows from load'), [
        { rows: 40_000 },
      ])
    })

    it('follows a promotion through the history file', async () => {
      await using folder = temporaryDirectory()
      await using copy = temporaryDirectory()
      await using pg = await startPostgres({ major })
      await pg.stop()
      copyDirectory(pg.directory, join(copy.path, 'base'))
      await pg.start()
      const repository = await claimFor(pg, folder.path)
      const first = startReceiver(pg, repository)
      await untilReceived(pg)
      await pg.query(LOAD)
      await untilReceived(pg)
      await first.stop()
      await using standby = await cloneStandby(pg, join(copy.path, 'standby'))
      const second = startReceiver(standby, repository)
      await promote(standby)
      await standby.query('create table after as select 7 as answer')
      await untilReceived(standby)
      await second.stop()
      giveToServer(folder.path)
      const command = restoreCommandFor(folder.path)
      await using restored = await recover(major, join(copy.path, 'base'), { command })
      assert.deepEqual(await restored.query('select answer from after'), [{ answer: 7 }])
    })
  })
}
