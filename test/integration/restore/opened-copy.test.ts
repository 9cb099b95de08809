/**
 * A copy that `restore --start` opened is stopped and removed by a command, and nothing else is; a port in use is found before the restore.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chown, lstat, mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { findPostmaster } from '../../../src/host/postmaster.ts'
import { COPY_NOTE_NAME, MARKER_NAME } from '../../../src/restore/marker.ts'
import { claimPort } from '../../harness/ports.ts'
import { startPostgres } from '../../harness/postgres.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { host } from './restore-files.ts'
import { startVault } from './vault.ts'

const PROGRAM = join(import.meta.dirname, '../../../bin/backstay.js')

async function giveAway(path: string): Promise<void> {
  if (!isRoot) return
  await chown(path, unprivilegedUser.uid, unprivilegedUser.gid)
  if (!(await lstat(path)).isDirectory()) return
  for (const name of await readdir(path)) await giveAway(join(path, name))
}

async function backstay(...words: string[]): Promise<{ code: number; said: string }> {
  return await new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...words], { cwd: '/' }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), said: stdout + stderr })
    })
  })
}

test('a copy is stopped and removed, with its tablespaces, and nothing else is', async (t) => {
  await using pg = await startPostgres({ major: 18 })
  await using vault = await startVault(pg)
  const space = join(vault.base, 'space')
  await mkdir(space)
  await giveAway(space)
  await pg.query(`CREATE TABLESPACE space LOCATION '${space}'`)
  await pg.query('CREATE TABLE t TABLESPACE space AS SELECT 1 AS i')
  await vault.backup()
  await vault.caughtUp()
  await vault.stop()
  await giveAway(vault.repository.store.location)
  const { location } = vault.repository.store
  const place = ['--repository', location, '--cluster', 'shop', '--os-user', unprivilegedUser.name]
  const [directory, spaces] = [join(vault.base, 'copy'), join(vault.base, 'copy-spaces')]
  const restore = ['restore', 'latest', directory, '--tablespace', `*:${spaces}`, ...place]

  await t.test('a port in use is found before anything is written', async () => {
    const { code, said } = await backstay(...restore, '--start', String(pg.port))
    assert.notEqual(code, 0)
    assert.match(said, /Cannot start a server on port \d+ .*used by/)
    await assert.rejects(stat(directory))
  })
  await t.test('a running copy is stopped', async () => {
    const opened = await backstay(...restore, '--start', String(await claimPort()))
    assert.equal(opened.code, 0, opened.said)
    assert.ok((await findPostmaster(host, directory)) !== undefined)
    const stopped = await backstay('copy', 'stop', directory)
    assert.equal(stopped.code, 0, stopped.said)
    assert.equal(await findPostmaster(host, directory), undefined)
  })
  await t.test('it is removed when that is confirmed', async () => {
    assert.equal((await backstay('copy', 'remove', directory)).code, 2)
    assert.ok((await stat(directory)).isDirectory())
    const removed = await backstay('copy', 'remove', directory, '--yes')
    assert.equal(removed.code, 0, removed.said)
    await assert.rejects(stat(directory))
    // The directory above is root's: its owner empties what is his.
    for (const oid of await readdir(spaces)) {
      assert.deepEqual(await readdir(join(spaces, oid)), [])
    }
    assert.equal((await readdir(space)).length, 1)
  })
  await t.test('what a paused copy holds of the repository goes with it', async () => {
    const locks = async (): Promise<readonly string[]> =>
      (await vault.repository.store.listFolders(vault.repository.names.locks)).filter((name) =>
        name.startsWith('backup-'),
      )
    const looked = join(vault.base, 'looked')
    const words = [...place, '--tablespace', `*:${join(vault.base, 'looked-spaces')}`]
    const port = String(await claimPort())
    const pause = ['--target-immediate', '--target-action', 'pause', '--start', port]
    const opened = await backstay('restore', 'latest', looked, ...words, ...pause)
    assert.equal(opened.code, 0, opened.said)
    assert.equal((await locks()).length, 1)
    const removed = await backstay('copy', 'remove', looked, '--yes')
    assert.equal(removed.code, 0, removed.said)
    assert.deepEqual(await locks(), [])
  })
  await t.test('a directory that no restore opened stays', async () => {
    const { code, said } = await backstay('copy', 'remove', pg.directory, '--yes')
    assert.notEqual(code, 0)
    assert.match(said, /no `restore --start` opened a copy there/)
    assert.deepEqual(await pg.query('SELECT i FROM t'), [{ i: 1 }])
  })
})

test('what the origin puts into its data directory is no note of a copy, and in the way of none', async () => {
  await using pg = await startPostgres({ major: 18 })
  await using vault = await startVault(pg)
  const [directory, others] = [join(vault.base, 'copy'), join(vault.base, 'others')]
  const [wal, space] = [join(others, 'pg_wal'), join(others, 'space')]
  for (const path of [wal, join(space, 'PG_18_202506291')]) await mkdir(path, { recursive: true })
  await writeFile(join(wal, '000000010000000000000001'), 'another cluster’s')
  await giveAway(others)
  const note = { directory, backup: 'any', tablespaces: [space], walDirectory: wal }
  for (const name of [COPY_NOTE_NAME, MARKER_NAME]) {
    await writeFile(join(pg.directory, name), JSON.stringify(note))
    await giveAway(join(pg.directory, name))
  }
  await mkdir(join(pg.directory, 'recovery.signal/below'), { recursive: true })
  await giveAway(join(pg.directory, 'recovery.signal'))
  await vault.backup()
  await vault.caughtUp()
  await vault.stop()
  const { location } = vault.repository.store
  await giveAway(location)
  const words = ['--repository', location, '--cluster', 'shop', '--os-user', unprivilegedUser.name]
  for (const option of [[], ['--delta']]) {
    const restored = await backstay('restore', 'latest', directory, ...words, ...option)
    assert.equal(restored.code, 0, restored.said)
    const names = await readdir(directory)
    assert.deepEqual([names.includes(COPY_NOTE_NAME), names.includes(MARKER_NAME)], [false, false])
  }
  const { code, said } = await backstay('copy', 'remove', directory, '--yes')
  assert.notEqual(code, 0)
  assert.match(said, /no `restore --start` opened a copy there/)
  assert.deepEqual(await readdir(wal), ['000000010000000000000001'])
  assert.deepEqual(await readdir(space), ['PG_18_202506291'])
})
