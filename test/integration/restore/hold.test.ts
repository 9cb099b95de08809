/**
 * A restored directory recovers long after the restore has ended: what it will fetch does not expire under it, until a stated time.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chown, lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { openPostgres, startPostgres, type TestServer } from '../../harness/postgres.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { until } from '../../harness/until.ts'
import { untilPromoted } from './restore-files.ts'
import { startVault, type Vault } from './vault.ts'

const PROGRAM = join(import.meta.dirname, '../../../bin/backstay.js')
const ROWS = 20_000

async function giveAway(path: string): Promise<void> {
  if (!isRoot) return
  await chown(path, unprivilegedUser.uid, unprivilegedUser.gid)
  if (!(await lstat(path)).isDirectory()) return
  for (const name of await readdir(path)) await giveAway(join(path, name))
}

async function backstay(vault: Vault, ...words: string[]): Promise<string> {
  const place = ['--repository', vault.repository.store.location, '--cluster', 'shop', '--json']
  return await new Promise((resolve, reject) => {
    execFile(process.execPath, [PROGRAM, ...words, ...place], (error, stdout, stderr) => {
      if (error === null) resolve(stdout)
      else reject(new Error(stderr, { cause: error }))
    })
  })
}

async function expired(vault: Vault): Promise<readonly string[]> {
  const { expire } = JSON.parse(await backstay(vault, 'expire', '--count', '1')) as {
    expire: readonly { id: string }[]
  }
  return expire.map(({ id }) => id)
}

/** Two backups with some WAL between them; the first is the one restored. */
async function twoBackups(pg: TestServer, vault: Vault): Promise<string> {
  await pg.query('CREATE TABLE t (i int)')
  const first = await vault.backup()
  for (let piece = 0; piece < 4; piece += 1) {
    await pg.query(`INSERT INTO t SELECT generate_series(1, ${ROWS / 4}); SELECT pg_switch_wal()`)
  }
  await vault.backup({ full: true })
  await vault.caughtUp()
  await vault.stop()
  await giveAway(vault.repository.store.location)
  return first.id
}

test('nothing that a recovery will read expires before it has read it', async (t) => {
  await using pg = await startPostgres({ major: 18 })
  await using vault = await startVault(pg)
  const first = await twoBackups(pg, vault)
  const directory = join(vault.base, 'copy')

  await t.test('the backup and the WAL after it stay after the restore has ended', async () => {
    await backstay(vault, 'restore', first, directory)
    assert.deepEqual(await expired(vault), [])
    await using copy = await openPostgres({ major: 18, directory })
    await copy.start()
    await untilPromoted(copy)
    const [row] = await copy.query('SELECT count(*)::int AS n FROM t')
    assert.equal(row?.['n'], ROWS)
  })
  await t.test(
    'who wants to delete it is told until when it is held, and how to end that',
    async () => {
      await assert.rejects(backstay(vault, 'delete', first, '--yes'), (error: Error) => {
        assert.match(error.message, /the recovery of .*copy/)
        assert.match(error.message, /It ends at \d{4}-.* by itself\. To end it now, delete /)
        return true
      })
    },
  )
  await t.test('and no longer than stated', async () => {
    const locks = join(vault.repository.store.location, 'shop/locks', `backup-${first}`)
    for (const name of await readdir(locks)) {
      await vault.repository.store.delete(`shop/locks/backup-${first}/${name}`)
    }
    await backstay(vault, 'restore', first, `${directory}-2`, '--hold-for', '2s')
    await until('the hold to end', async () => (await expired(vault)).includes(first))
  })
})
