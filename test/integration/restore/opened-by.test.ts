/**
 * Opening a copy is running what the origin's superuser put into it. Nobody becomes who can change the backups by that unasked, and the
 * session that watches recovery runs none of it.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, chown, lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { SqlClient } from '../../../src/wire/sql-client.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { claimPort } from '../../harness/ports.ts'
import { startPostgres, type TestServer } from '../../harness/postgres.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { startVault } from './vault.ts'

const PROGRAM = join(import.meta.dirname, '../../../bin/backstay.js')
const { name: user, uid, gid } = unprivilegedUser

interface Ended {
  readonly code: number
  readonly said: string
}

async function backstay(...words: string[]): Promise<Ended> {
  return await new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...words], { cwd: '/' }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), said: stdout + stderr })
    })
  })
}

async function giveAway(path: string): Promise<void> {
  await chown(path, uid, gid)
  if (!(await lstat(path)).isDirectory()) return
  await Promise.all((await readdir(path)).map(async (name) => giveAway(join(path, name))))
}

/** What the superuser of an origin can leave for whoever opens a copy. */
async function layTraps(pg: TestServer, mark: string): Promise<void> {
  await using sql = await SqlClient.connect({ ...pg.connection, database: 'template1' })
  await sql.query(`CREATE FUNCTION public.f() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN
    IF pg_is_in_recovery() THEN COPY (SELECT 1) TO PROGRAM 'id >>"${mark}"'; END IF; END$$;
    CREATE EVENT TRIGGER e ON login EXECUTE FUNCTION public.f();
    ALTER EVENT TRIGGER e ENABLE ALWAYS`)
  await sql.query(`ALTER DATABASE template1 SET event_triggers = on`)
  for (const [name, value] of [
    ['ssl', 'on'],
    ['ssl_passphrase_command', `id >>"${mark}"`],
    ['session_preload_libraries', 'no_such_library'],
  ] as const) {
    await sql.query(`ALTER SYSTEM SET ${name} = '${value}'`)
  }
}

describe('a copy of a hostile origin', () => {
  const why = isRoot ? 'no PostgreSQL 18 is installed' : 'only root opens it as somebody else'
  test(
    'is opened as who is named, and watched without running what lies in it',
    { skip: (!isRoot || !availableMajors().includes(18)) && why },
    async () => {
      await using pg = await startPostgres({ major: 18 })
      await using vault = await startVault(pg)
      const mark = join(vault.base, 'ran')
      await layTraps(pg, mark)
      await vault.backup({ full: true })
      await vault.caughtUp()
      await vault.stop()
      await chmod(vault.base, 0o777)
      const { location } = vault.repository.store
      await giveAway(location)
      const directory = join(vault.base, 'copy')
      const place = ['--repository', location, '--cluster', 'shop']
      const pause = ['--target-immediate', '--target-action', 'pause']
      const words = ['restore', 'latest', directory, ...place, ...pause]
      const opening = ['--start', String(await claimPort())]

      for (const more of [[], ['--plan']]) {
        const refused = await backstay(...words, ...opening, ...more)
        assert.equal(refused.code, 2, refused.said)
        assert.match(refused.said, new RegExp(`Will not open the copy as "${user}" unasked`))
        await assert.rejects(lstat(directory), { code: 'ENOENT' })
      }
      const planned = await backstay(...words, '--plan')
      assert.match(planned.said, new RegExp(`OS user +${user}\n`))

      const opened = await backstay(...words, ...opening, '--os-user', user)
      assert.equal(opened.code, 0, opened.said)
      assert.match(opened.said, new RegExp(`OS user +${user}, who opens it on port`))
      assert.match(opened.said, new RegExp(`It runs as "${user}"\\.`))
      await assert.rejects(lstat(mark), { code: 'ENOENT' })
      const removed = await backstay('copy', 'remove', directory, '--yes')
      assert.equal(removed.code, 0, removed.said)
    },
  )
})
