/**
 * What a backup says of tablespaces makes nothing on this machine that nobody else named; tablespaces in the data directory stay there.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import type { BackupInfo } from '../../../src/repository/backup-info.ts'
import { openSealedJson, sealJson } from '../../../src/repository/sealed-json.ts'
import { checkPath } from '../../../src/restore/manifest-survey.ts'
import {
  availableMajors,
  openPostgres,
  startPostgres,
  type TestServer,
} from '../../harness/postgres.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { restore, untilPromoted } from './restore-files.ts'
import { startVault, type Vault } from './vault.ts'

const PROGRAM = join(import.meta.dirname, '../../../bin/backstay.js')

describe('a tablespace of a backup', { skip: !isRoot && 'not root' }, () => {
  let pg: TestServer
  let vault: Vault
  let backup: BackupInfo
  /** Where the backup says that the tablespace lies; root's, and empty. */
  let trap = ''
  let parent = ''
  before(async () => {
    pg = await startPostgres({ major: 18 })
    vault = await startVault(pg)
    parent = await mkdtemp('/tmp/backstay-test-trap-')
    await chown(parent, unprivilegedUser.uid, unprivilegedUser.gid)
    trap = join(parent, 'space')
    await mkdir(trap, { mode: 0o700 })
    await chown(trap, unprivilegedUser.uid, unprivilegedUser.gid)
    await pg.query(`CREATE TABLESPACE space LOCATION '${trap}'`)
    await pg.query('CREATE TABLE t TABLESPACE space AS SELECT 1 AS i')
    backup = await vault.backup()
    await pg.stop()
    await rename(trap, `${trap}.lost`)
    await mkdir(trap, { mode: 0o755 })
  })
  after(async () => {
    await vault[Symbol.asyncDispose]()
    await pg[Symbol.asyncDispose]()
    await rm(parent, { recursive: true })
  })

  const command = async (name: string, ...words: string[]): Promise<[number, string]> => {
    const place = ['--repository', vault.repository.store.location, '--cluster', 'shop']
    const user = ['--os-user', unprivilegedUser.name]
    const all = [PROGRAM, 'restore', backup.id, join(vault.base, name), ...place, ...user, ...words]
    return await new Promise((resolve) => {
      execFile(process.execPath, all, (error, _stdout, stderr) => {
        resolve([error === null ? 0 : Number(error.code ?? 1), stderr])
      })
    })
  }
  const isUntouched = async (path: string): Promise<void> => {
    assert.deepEqual(await readdir(path), [])
    assert.equal((await stat(path)).uid, 0)
  }

  test('is written nowhere while only the backup names its place', async () => {
    const [code, text] = await command('unnamed')
    assert.notEqual(code, 0)
    assert.match(text, /the backup says that it lay in ".*space", and nobody else does/)
    assert.match(text, /--tablespace-root/)
    await isUntouched(trap)
    await assert.rejects(stat(join(vault.base, 'unnamed')))
  })

  test('is not given a directory of root’s below an allowed root, nor one behind a link', async () => {
    const [code, text] = await command('roots', '--tablespace-root', parent)
    assert.notEqual(code, 0)
    assert.match(text, /of "root"/)
    await isUntouched(trap)
    await rename(trap, `${trap}.roots`)
    await symlink(`${trap}.roots`, trap)
    const [linked, linkText] = await command('linked', '--tablespace-root', parent)
    assert.notEqual(linked, 0)
    assert.match(linkText, /no directory/)
    await isUntouched(`${trap}.roots`)
    await rm(trap)
  })

  test('goes where the operator says, as easily as before', async () => {
    const oid = String(backup.tablespaces[0]?.oid)
    const named = join(vault.base, 'named-space')
    const [code, text] = await command('named', '--tablespace', `${oid}:${named}`)
    assert.equal(code, 0, text)
    assert.equal((await stat(named)).uid, unprivilegedUser.uid)
    // By its name it could only be given away together with what its owner puts there meanwhile.
    const link = await lstat(join(vault.base, 'named/pg_tblspc', oid))
    assert.ok(link.isSymbolicLink())
    assert.equal(link.uid, 0)
    const [allowed, allowedText] = await command('allowed', '--tablespace-root', parent)
    assert.equal(allowed, 0, allowedText)
    assert.equal((await stat(trap)).uid, unprivilegedUser.uid)
    const [all, allText] = await command('all', '--tablespace', `*=${vault.base}/spaces`)
    assert.equal(all, 0, allText)
    assert.match((await readdir(join(vault.base, 'spaces', oid))).join(), /^PG_18_\d+$/)
  })

  test('whose number is a path gets no directory of root’s, wherever the operator puts all of them', async () => {
    const roots = await mkdtemp('/tmp/backstay-test-roots-')
    const file = join(vault.repository.store.location, 'shop/backups', backup.id, 'backup.json')
    const sealed = await readFile(file)
    const { checksum: _checksum, ...value } = openSealedJson(file, sealed)
    try {
      await chmod(roots, 0o755)
      const target = join(roots, 'sshd_config.d')
      await mkdir(target, { mode: 0o755 })
      const oid = `../../../../../../../..${target}`
      const tablespaces = [{ oid, location: trap }]
      // Sealed anew: whoever may write the repository can do that.
      await writeFile(file, sealJson({ ...value, tablespaces }))
      const [code, text] = await command('numbered', '--tablespace', `*=${vault.base}/spaces`)
      await isUntouched(target)
      assert.notEqual(code, 0)
      assert.match(text, /backup\.json": its "tablespaces" cannot be that of a backup/)
    } finally {
      await writeFile(file, sealed)
      await rm(roots, { recursive: true })
    }
  })

  test('holds nothing but what PostgreSQL writes there', () => {
    const file = (path: string) => ({ kind: 'file', path }) as const
    checkPath(file('pg_tblspc/16384/PG_18_202506291/5/16385'), 18)
    for (const path of [
      'pg_tblspc/16384/override.conf',
      'pg_tblspc/16384/PG_17_202406281/5/1',
      'pg_tblspc/16384/PG_18_202506291/../../x',
    ]) {
      assert.throws(
        () => checkPath(file(path), 18),
        (error: unknown) => isBackstayError(error, 'REPOSITORY_DAMAGED'),
      )
    }
  })
})

for (const major of availableMajors().filter((each) => each >= 16)) {
  test(`PostgreSQL ${major}: a tablespace in the data directory comes back there`, async () => {
    const settings = { allow_in_place_tablespaces: true }
    await using pg = await startPostgres({ major, settings })
    await using vault = await startVault(pg)
    await pg.query(`CREATE TABLESPACE inside LOCATION ''`)
    await pg.query('CREATE TABLE t TABLESPACE inside AS SELECT g FROM generate_series(1, 1000) g')
    const backup = await vault.backup()
    await vault.caughtUp()
    await vault.stop()
    const restoreCommand = await vault.layOutWal()
    const directory = join(vault.base, 'copy')
    await restore(vault.repository, { directory, restoreCommand })
    const oid = String(backup.tablespaces[0]?.oid)
    assert.ok((await stat(join(directory, 'pg_tblspc', oid))).isDirectory())
    await using copy = await openPostgres({ major, directory })
    await copy.start()
    await untilPromoted(copy)
    const [row] = await copy.query('SELECT count(*)::int AS n FROM t')
    assert.equal(row?.['n'], 1000)
  })
}
