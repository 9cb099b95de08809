/**
 * `restore --wal-directory`: WAL goes to another disk with a link in its place, and nothing that is somebody's is written over.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chown, lstat, mkdir, readdir, readlink, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { claimPort } from '../../harness/ports.ts'
import { matrixMajors, openPostgres, startPostgres } from '../../harness/postgres.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { prepare, restore, untilPromoted } from './restore-files.ts'
import { startVault } from './vault.ts'

const PROGRAM = join(import.meta.dirname, '../../../bin/backstay.js')

const isForeign = (error: unknown) => isBackstayError(error, 'DIRECTORY_FOREIGN')

async function countIn(pg: { query(sql: string): Promise<readonly object[]> }): Promise<unknown> {
  return await pg.query('select count(*)::int as n from t')
}

describe('a restore with the WAL elsewhere', () => {
  for (const major of matrixMajors().filter((each) => each === 11 || each === 18)) {
    it(`recovers over a link, is repeated after a kill, kept by delta, and refuses what is another's (${major})`, async () => {
      await using pg = await startPostgres({ major })
      await using vault = await startVault(pg)
      const { repository, base } = vault
      await pg.query('create table t as select g from generate_series(1, 1000) g')
      await vault.backup()
      await pg.query('insert into t select g from generate_series(1, 500) g')
      await vault.caughtUp()
      await vault.stop()
      const restoreCommand = await vault.layOutWal()
      const directory = join(base, 'data')
      const walDirectory = join(base, 'fast disk', 'wal')
      const wish = { directory, walDirectory, restoreCommand }
      // Dies while it writes: both directories are marked, and the next one begins anew.
      const stop = new AbortController()
      const dying = { ...wish, signal: stop.signal }
      const onPhase = (phase: string) => phase === 'sync' && stop.abort(new Error('dies'))
      await assert.rejects(restore(repository, { ...dying, onPhase }), /dies/)
      assert.ok((await readdir(walDirectory)).includes('backstay-restore.json'))
      await writeFile(join(walDirectory, 'left'), 'by the one that died')
      await restore(repository, wish)
      assert.equal(await readlink(join(directory, 'pg_wal')), walDirectory)
      const found = await stat(walDirectory)
      assert.equal(found.mode & 0o777, (await stat(directory)).mode & 0o777)
      if (isRoot) assert.equal(found.uid, unprivilegedUser.uid)
      const names = await readdir(walDirectory)
      assert.ok(names.includes('archive_status') && !names.includes('left'))
      assert.ok(!names.includes('backstay-restore.json'))
      {
        await using restored = await openPostgres({ major, directory })
        await untilPromoted(restored)
        assert.deepEqual(await countIn(restored), [{ n: 1500 }])
        // Whose WAL is written there, wherever the data directory is: nobody else's goes there.
        const other = { ...wish, directory: join(base, 'other') }
        const isRunning = (error: unknown) => isBackstayError(error, 'SERVER_RUNNING')
        await assert.rejects(prepare(repository, other), isRunning)
      }
      const other = { ...wish, directory: join(base, 'other') }
      await assert.rejects(prepare(repository, other), isForeign)
      // Delta: the link stays with the option and without, and another place is refused.
      const delta = { ...wish, isDelta: true, allowDataLoss: true }
      await restore(repository, delta)
      assert.equal(await readlink(join(directory, 'pg_wal')), walDirectory)
      const { walDirectory: _, ...plain } = delta
      await restore(repository, plain)
      assert.equal(await readlink(join(directory, 'pg_wal')), walDirectory)
      const elsewhere = { ...delta, walDirectory: join(base, 'slow disk') }
      await assert.rejects(prepare(repository, elsewhere), isForeign)
      await using again = await openPostgres({ major, directory })
      await untilPromoted(again)
      assert.deepEqual(await countIn(again), [{ n: 1500 }])
    })
  }

  it('delta moves the WAL of a plain directory out, and its places lie apart', async () => {
    await using pg = await startPostgres({ major: 18 })
    await using vault = await startVault(pg)
    const { repository, base } = vault
    await vault.backup()
    await vault.caughtUp()
    await vault.stop()
    const restoreCommand = await vault.layOutWal()
    const directory = join(base, 'data')
    await restore(repository, { directory, restoreCommand })
    const walDirectory = join(base, 'wal')
    const delta = { directory, walDirectory, restoreCommand, isDelta: true, allowDataLoss: true }
    await restore(repository, delta)
    assert.equal(await readlink(join(directory, 'pg_wal')), walDirectory)
    const isUsage = (error: unknown) => isBackstayError(error, 'USAGE')
    for (const inside of [join(directory, 'pg_wal'), base, join(repository.store.location, 'w')]) {
      const wish = { directory, walDirectory: inside }
      await assert.rejects(prepare(repository, { ...wish, isDelta: true }), isUsage)
    }
    await using restored = await openPostgres({ major: 18, directory })
    await untilPromoted(restored)
  })

  it('is planned, made by root for PostgreSQL’s user, and taken away with the copy', async () => {
    await using pg = await startPostgres({ major: 18 })
    await using vault = await startVault(pg)
    await vault.backup()
    await vault.caughtUp()
    await vault.stop()
    const { location } = vault.repository.store
    if (isRoot) await giveAway(location)
    const backstay = async (...words: string[]): Promise<[number, string]> =>
      await new Promise((resolve) => {
        execFile(process.execPath, [PROGRAM, ...words], (error, stdout, stderr) => {
          resolve([error === null ? 0 : Number(error.code ?? 1), stdout + stderr])
        })
      })
    const place = ['--repository', location, '--cluster', 'shop']
    const directory = join(vault.base, 'copy')
    const wal = join(vault.base, 'copy wal')
    const words = ['restore', 'latest', directory, '--wal-directory', wal, ...place]
    const [planned, plan] = await backstay(...words, '--plan')
    assert.equal(planned, 0, plan)
    assert.match(plan, /WAL into +\/.*copy wal/)
    await assert.rejects(lstat(wal))
    const opening = ['--start', String(await claimPort()), '--os-user', unprivilegedUser.name]
    const [code, text] = await backstay(...words, ...opening)
    assert.equal(code, 0, text)
    assert.equal(await readlink(join(directory, 'pg_wal')), wal)
    if (isRoot) assert.equal((await stat(wal)).uid, unprivilegedUser.uid)
    const [removed, why] = await backstay('copy', 'remove', directory, '--yes')
    assert.equal(removed, 0, why)
    // Empty where its parent is not of PostgreSQL's user, else gone.
    await mkdir(wal, { recursive: true })
    assert.deepEqual(await readdir(wal), [])
    await writeFile(join(wal, 'mine'), '')
    const [refused, reason] = await backstay(...words)
    assert.equal(refused, 1)
    assert.match(reason, /Cannot restore the WAL into ".*": it is not empty/)
    assert.deepEqual(await readdir(wal), ['mine'])
  })
})

/** The repository as an operator has it: of the OS user who runs PostgreSQL too. */
async function giveAway(path: string): Promise<void> {
  await chown(path, unprivilegedUser.uid, unprivilegedUser.gid)
  if (!(await lstat(path)).isDirectory()) return
  for (const name of await readdir(path)) await giveAway(join(path, name))
}
