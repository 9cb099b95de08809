/**
 * Root restores into directories of the server's OS user, who exchanges them for links meanwhile. Nothing outside them is written, given
 * away or removed, whatever becomes of the restore.
 */
import assert from 'node:assert/strict'
import {
  chownSync,
  cpSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { BackupInfo } from '../../../src/repository/backup-info.ts'
import { MARKER_NAME } from '../../../src/restore/marker.ts'
import type { RestorePhase } from '../../../src/restore/restore.ts'
import { startPostgres, temporaryDirectory, type TestServer } from '../../harness/postgres.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { restore, type TestRestore } from './restore-files.ts'
import { startVault, type Vault } from './vault.ts'

const { uid, gid } = unprivilegedUser

describe('root', { skip: !isRoot && 'needs root', concurrency: false }, () => {
  let pg: TestServer
  let vault: Vault
  let backup: BackupInfo
  before(async () => {
    pg = await startPostgres({ major: 18 })
    vault = await startVault(pg)
    await pg.query('CREATE TABLE t AS SELECT i FROM generate_series(1, 1000) i')
    backup = await vault.backup()
    await pg.stop()
  })
  after(async () => {
    await vault[Symbol.asyncDispose]()
    await pg[Symbol.asyncDispose]()
  })

  /** Restores into `home/data`; `act` exchanges when `phase` begins. Resolves whether it was refused. */
  const attacked = async (
    wish: Partial<TestRestore> & { readonly directory: string },
    phase: RestorePhase,
    act: () => void,
  ): Promise<boolean> => {
    const onPhase = (now: RestorePhase): void => {
      if (now === phase) act()
    }
    try {
      await restore(vault.repository, { backup: backup.id, onPhase, ...wish })
      return false
    } catch {
      return true
    }
  }

  const places = (base: string): { readonly data: string; readonly roots: string } => {
    const [home, roots] = [join(base, 'home'), join(base, 'roots')]
    for (const path of [home, roots]) mkdirSync(path)
    chownSync(home, uid, gid)
    return { data: join(home, 'data'), roots }
  }
  const exchange = (path: string, target: string): void => {
    renameSync(path, `${path}.real`)
    symlinkSync(target, path)
  }

  for (const phase of ['write', 'settings', 'name', 'unmark'] as const) {
    test(`writes nothing where a link in the place of the data directory leads, come at ${phase}`, async () => {
      await using base = temporaryDirectory()
      const { data, roots } = places(base.path)
      for (const name of ['global', 'base', 'pg_wal']) mkdirSync(join(roots, name))
      writeFileSync(join(roots, MARKER_NAME), '')
      await attacked({ directory: data }, phase, () => exchange(data, roots))
      assert.deepEqual(allIn(roots), [MARKER_NAME, 'base', 'global', 'pg_wal'])
      for (const name of ['.', 'global', 'base', 'pg_wal']) assertRoots(join(roots, name))
    })
  }

  for (const name of ['base', 'global', 'pg_wal', 'pg_tblspc']) {
    test(`follows no link in the place of ${name}`, async () => {
      await using base = temporaryDirectory()
      const { data, roots } = places(base.path)
      const isRefused = await attacked({ directory: data }, 'write', () =>
        symlinkSync(roots, join(data, name)),
      )
      assert.equal(isRefused, true)
      assert.deepEqual(allIn(roots), [])
      assertRoots(roots)
    })
  }

  test('makes over no file that is a second name of its own', async () => {
    await using base = temporaryDirectory()
    const { data, roots } = places(base.path)
    await restore(vault.repository, { backup: backup.id, directory: data })
    const secret = join(roots, 'secret')
    writeFileSync(secret, 'root’s own', { mode: 0o600 })
    const isRefused = await attacked({ directory: data, isDelta: true }, 'write', () => {
      rmSync(join(data, 'PG_VERSION'))
      linkSync(secret, join(data, 'PG_VERSION'))
    })
    assert.equal(isRefused, true)
    assert.equal(readFileSync(secret, 'utf8'), 'root’s own')
    assert.equal(statSync(secret).uid, 0)
  })

  test('removes nothing behind a link that has come in the place of a directory', async () => {
    await using base = temporaryDirectory()
    const { data, roots } = places(base.path)
    await restore(vault.repository, { backup: backup.id, directory: data })
    cpSync(join(data, 'base'), join(roots, 'base'), { recursive: true })
    const kept = allIn(join(roots, 'base'))
    await attacked({ directory: data, isDelta: true }, 'clear', () => exchange(data, roots))
    assert.deepEqual(allIn(join(roots, 'base')), kept)
    assert.deepEqual(readdirSync(roots), ['base'])
  })

  test('says what is wrong with a mark that is a link to itself', async () => {
    await using base = temporaryDirectory()
    const { data } = places(base.path)
    mkdirSync(data)
    chownSync(data, uid, gid)
    symlinkSync(MARKER_NAME, join(data, MARKER_NAME))
    await assert.rejects(restore(vault.repository, { backup: backup.id, directory: data }), {
      code: 'FAILED',
      message: /home\/data" on "this machine": too many symbolic links/,
    })
  })

  test('makes no directory below a link of that user', async () => {
    await using base = temporaryDirectory()
    const { data, roots } = places(base.path)
    symlinkSync(roots, data)
    const isRefused = await attacked({ directory: join(data, 'sshd.d') }, 'mark', () => undefined)
    assert.equal(isRefused, true)
    assert.deepEqual(allIn(roots), [])
  })
})

function assertRoots(path: string): void {
  const { uid: now, mode } = statSync(path)
  assert.deepEqual([path, now, mode & 0o777], [path, 0, 0o755])
}

function allIn(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' }).sort()
}
