/**
 * As whom root goes on at a repository: as who has the way there in his hands, not as who owns what he shows.
 */
import assert from 'node:assert/strict'
import { chmodSync, chownSync, lchownSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { osUserOf } from '../../../src/cli/session/restore-identity.ts'
import type { RestoreContext } from '../../../src/cli/session/restore-wish.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import { STRANGER } from '../../harness/other-user.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { isRoot } from '../../harness/unprivileged-user.ts'
import { start } from './programs.ts'

/** nobody: another than the user who is taken where no owner is found. */
const NOBODY = 65_534
const SOURCE = join(import.meta.dirname, '../../../src/cli/session/repository-owner.ts')
const BECOME = `
const { becomeRepositoryOwner } = await import(process.argv[1])
await becomeRepositoryOwner(process.argv[2]).then(
  () => console.log(process.getuid(), process.geteuid(), process.getgid(), process.getgroups().includes(0)),
  (error) => console.log(error.code),
)
`

async function become(directory: string): Promise<string> {
  const { code, stdout, stderr } = await start(
    [process.execPath, '--input-type=module', '-e', BECOME, SOURCE, directory],
    { cwd: '/', env: { PATH: process.env['PATH'] } },
  ).ended
  assert.equal(code, 0, stderr)
  return stdout.trim()
}

/** A directory of nobody's, and in it a link of his to a directory of root's. */
function makePlaces(base: string): { readonly his: string; readonly shown: string } {
  const his = join(base, 'his')
  for (const path of [his, join(his, 'main'), join(base, 'roots'), join(base, 'roots/main')]) {
    mkdirSync(path)
  }
  chmodSync(base, 0o755)
  for (const path of [his, join(his, 'main')]) chownSync(path, NOBODY, NOBODY)
  symlinkSync(join(base, 'roots'), join(his, 'look'))
  lchownSync(join(his, 'look'), NOBODY, NOBODY)
  return { his, shown: join(his, 'look/main') }
}

describe('root at a repository', { skip: !isRoot && 'needs root' }, () => {
  const AS_NOBODY = `${NOBODY} ${NOBODY} ${NOBODY} false`

  test('goes on as its owner', async () => {
    await using base = temporaryDirectory()
    assert.equal(await become(join(makePlaces(base.path).his, 'main')), AS_NOBODY)
  })

  test('goes on as who leads it to a directory of root’s', async () => {
    await using base = temporaryDirectory()
    assert.equal(await become(makePlaces(base.path).shown), AS_NOBODY)
  })

  test('goes on as nobody where one user leads to another’s, or nothing is there', async () => {
    await using base = temporaryDirectory()
    const { shown } = makePlaces(base.path)
    assert.equal(await become(`${shown}/missing`), 'REPOSITORY_MISSING')
    chownSync(join(base.path, 'roots/main'), STRANGER.uid, STRANGER.gid)
    assert.equal(await become(shown), 'DIRECTORY_OWNER')
  })

  test('stays root where it is root’s, by root’s link too, and not where that leads to another’s', async () => {
    await using base = temporaryDirectory()
    const { his } = makePlaces(base.path)
    symlinkSync(join(base.path, 'roots/main'), join(base.path, 'own'))
    assert.match(await become(join(base.path, 'own')), /^0 0 0 /)
    symlinkSync(join(his, 'main'), join(base.path, 'link'))
    assert.equal(await become(join(base.path, 'link')), AS_NOBODY)
  })

  test('gives a restore to who leads there, and opens nothing as him unasked', async () => {
    await using base = temporaryDirectory()
    const { shown: repository } = makePlaces(base.path)
    const host = new LocalHost('localhost')
    const userOf = async (options: object): Promise<string> =>
      await osUserOf({ options: { repository, ...options } } as RestoreContext, host, repository)
    assert.equal(await userOf({}), 'nobody')
    await assert.rejects(userOf({ start: 20_000 }), { code: 'USAGE' })
  })
})
