/**
 * Root restores from somebody else's repository and dies: nothing of root's stays in it, and its owner goes on.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { startPostgres } from '../../harness/postgres.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { until } from '../../harness/until.ts'
import { startVault } from './vault.ts'

const PROGRAM = join(import.meta.dirname, '../../../bin/backstay.js')
/** Of every Linux; neither root nor the repository's owner. */
const OTHER_USER = 'daemon'

async function allBelow(path: string): Promise<string[]> {
  if (!(await lstat(path)).isDirectory()) return [path]
  const below = (await readdir(path)).map(async (name) => allBelow(join(path, name)))
  return [path, ...(await Promise.all(below)).flat()]
}

async function asOwner(words: readonly string[]): Promise<string> {
  const { uid, gid } = unprivilegedUser
  return await new Promise((resolve) => {
    execFile(
      process.execPath,
      [PROGRAM, ...words],
      { uid, gid, cwd: '/' },
      (error, _out, stderr) => {
        resolve(error === null ? '' : stderr)
      },
    )
  })
}

async function untilLocked(child: ChildProcess, locks: string): Promise<void> {
  await until('the restore to hold the backup', async () => {
    assert.equal(child.exitCode, null, 'it ended first')
    const folders = await readdir(locks).catch(() => [])
    const held = folders.map(async (name) => readdir(join(locks, name)).catch(() => []))
    return (await Promise.all(held)).flat().some((name) => name.endsWith('.json'))
  })
}

test(
  'a root that is killed leaves no file of its own behind',
  { skip: !isRoot && 'not root' },
  async () => {
    await using pg = await startPostgres({ major: 18 })
    await using vault = await startVault(pg)
    await pg.query('CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 400000) i')
    const first = await vault.backup()
    await vault.backup({ full: true })
    await vault.caughtUp()
    await vault.stop()
    const { location } = vault.repository.store
    await chmod(vault.base, 0o755)
    for (const path of await allBelow(location))
      await chown(path, unprivilegedUser.uid, unprivilegedUser.gid)

    const place = ['--repository', location, '--cluster', 'shop']
    const words = [
      'restore',
      first.id,
      join(vault.base, 'copy'),
      '--os-user',
      OTHER_USER,
      '--jobs',
      '1',
    ]
    const child = spawn(process.execPath, [PROGRAM, ...words, ...place], { stdio: 'ignore' })
    await untilLocked(child, join(location, 'shop/locks'))
    child.kill('SIGKILL')
    await once(child, 'exit')

    const owners = (await allBelow(location)).map(async (path) => [path, (await lstat(path)).uid])
    const roots = (await Promise.all(owners)).filter(([, uid]) => uid === 0)
    assert.deepEqual(roots, [])
    assert.equal(await asOwner(['delete', first.id, '--yes', ...place]), '')
  },
)
