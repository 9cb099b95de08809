/**
 * What only an OS user's own word names is renamed and removed with no more than his rights, or by root where it is his and in nobody
 * else's reach.
 */
import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, beforeEach, describe, test } from 'node:test'
import { LocalHost } from '../../../src/host/local-host.ts'
import { removeOwn, replaceOwn, whyNotOwn } from '../../../src/host/own-directory.ts'
import { actAs, STRANGER } from '../../harness/other-user.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'

const { uid, gid, name: user } = unprivilegedUser
const host = new LocalHost('here')

describe('a directory that PostgreSQL’s user names', { skip: !isRoot && 'needs root' }, () => {
  const base = isRoot ? mkdtempSync('/var/lib/backstay-test-own-') : ''
  let round = 0
  /** Root's, and nobody else may write it. */
  let disk = ''
  beforeEach(() => {
    round += 1
    disk = join(base, `disk${round}`)
    chmodSync(base, 0o755)
    mkdirSync(disk, { mode: 0o755 })
  })
  after(() => rmSync(base, { recursive: true, force: true }))

  const place = (path: string) => ({ path, user })
  function make(path: string, owner: number, mode = 0o700): string {
    mkdirSync(path)
    writeFileSync(join(path, 'file'), 'x')
    for (const each of [join(path, 'file'), path]) chownSync(each, owner, owner)
    chmodSync(path, mode)
    return path
  }
  async function refused(path: string, why: RegExp): Promise<void> {
    assert.match((await whyNotOwn(host, place(path))) ?? '', why)
    await assert.rejects(replaceOwn(host, place(path), `${path}.old`))
    assert.equal(existsSync(`${path}.old`), false)
  }

  test('is replaced by root where it is his and only root can exchange it', async () => {
    const wal = make(join(disk, 'pg_wal'), uid, 0o750)
    assert.equal(await whyNotOwn(host, place(wal)), undefined)
    await replaceOwn(host, place(wal), `${wal}.old`)
    assert.deepEqual(readdirSync(`${wal}.old`), ['file'])
    assert.deepEqual(readdirSync(wal), [])
    const { uid: now, mode } = statSync(wal)
    assert.deepEqual([now, mode & 0o7777], [uid, 0o750])
    await removeOwn(host, place(`${wal}.old`))
    assert.deepEqual(readdirSync(disk), ['pg_wal'])
  })

  test('is replaced by himself in a directory of his, and then nothing is root’s', async () => {
    chownSync(disk, uid, gid)
    const wal = make(join(disk, 'pg_wal'), uid)
    await replaceOwn(host, place(wal), `${wal}.old`)
    assert.equal(statSync(wal).uid, uid)
    await removeOwn(host, place(`${wal}.old`))
    assert.deepEqual(readdirSync(disk), ['pg_wal'])
  })

  test('is refused when it is root’s, a stranger’s, a link, a file, or not there', async () => {
    await refused(make(join(disk, 'profile.d'), 0), /^belongs to "root"$/)
    await refused(make(join(disk, 'theirs'), STRANGER.uid), /^belongs to /)
    make(join(disk, 'his'), uid)
    symlinkSync(join(disk, 'his'), join(disk, 'link'))
    await refused(join(disk, 'link'), /^is a link itself$/)
    writeFileSync(join(disk, 'file'), '')
    await refused(join(disk, 'file'), /^is no directory$/)
    await refused(join(disk, 'missing'), /^is not there$/)
  })

  test('is refused where somebody else could exchange it, or leads there by his own link', async () => {
    chownSync(disk, STRANGER.uid, STRANGER.gid)
    await refused(make(join(disk, 'his'), uid), /^lies where user 54321 could put/)
    const own = join(base, 'own')
    make(own, uid)
    make(join(base, 'roots'), 0, 0o755)
    make(join(base, 'roots/his'), uid)
    symlinkSync(join(base, 'roots'), join(own, 'way'))
    // As himself: the directory above is root's.
    await refused(join(own, 'way/his'), /^lies in a directory that ".*" may not write/)
  })

  test('is refused in a directory of root’s that others may write and he may not', async () => {
    chmodSync(disk, 0o775)
    await refused(make(join(disk, 'his'), uid), /^lies in a directory that ".*" may not write/)
  })

  test('keeps what he may not remove himself, and that is said', async () => {
    const old = make(join(disk, 'old'), uid)
    const roots = make(join(old, 'roots'), 0)
    await assert.rejects(removeOwn(host, place(old)), { code: 'DIRECTORY_OWNER' })
    assert.deepEqual(readdirSync(roots), ['file'])
    const others = make(join(disk, 'others'), 0)
    await assert.rejects(removeOwn(host, place(others)), { code: 'DIRECTORY_OWNER' })
    assert.deepEqual(readdirSync(others), ['file'])
    await removeOwn(host, place(join(disk, 'missing')))
    assert.equal(actAs(unprivilegedUser, 'rm -rf -- "$1"', roots), false, 'nor can he')
  })
})
