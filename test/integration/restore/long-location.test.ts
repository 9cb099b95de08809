/**
 * A tablespace whose location is too long for a link in a tar archive: PostgreSQL itself refuses, and Backstay says so before any data comes.
 */
import assert from 'node:assert/strict'
import { chown, mkdir, rename, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { availableMajors, startPostgres, temporaryDirectory } from '../../harness/postgres.ts'
import { unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { startVault } from './vault.ts'

for (const major of availableMajors().filter((each) => [11, 15, 18].includes(each))) {
  test(`a location of more than 99 bytes is named with its length, and the way out works (${major})`, async () => {
    await using base = temporaryDirectory()
    await using pg = await startPostgres({ major })
    await using vault = await startVault(pg)
    const long = join(base.path, 'l'.repeat(140))
    await mkdir(long)
    await chown(long, unprivilegedUser.uid, unprivilegedUser.gid)
    await pg.query(`CREATE TABLESPACE far LOCATION '${long}'`)
    await pg.query('CREATE TABLE t TABLESPACE far AS SELECT i FROM generate_series(1, 1000) i')
    const [row] = await pg.query(`SELECT oid::int AS oid FROM pg_tablespace WHERE spcname = 'far'`)
    const oid = String(row?.['oid'])
    await assert.rejects(vault.backup(), (error: Error & { code?: string; hint?: string }) => {
      assert.equal(error.code, 'POSTGRES_LIMIT')
      assert.match(error.message, new RegExp(`tablespace ${oid} has ${long.length} bytes`))
      assert.match(error.hint ?? '', new RegExp(`the link pg_tblspc/${oid}`))
      return true
    })
    await pg.stop()
    const short = join(base.path, 's')
    await rename(long, short)
    const link = join(pg.directory, 'pg_tblspc', oid)
    await rm(link)
    await symlink(short, link)
    await pg.start()
    const backup = await vault.backup()
    assert.deepEqual(
      backup.tablespaces.map(({ location }) => location),
      [short],
    )
  })
}
