/**
 * An existing repository's owner goes before a default, and not before what the cluster file says.
 */
import assert from 'node:assert/strict'
import { chownSync, lchownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { clusterContext } from '../../../src/cluster/context.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { isRoot } from '../../harness/unprivileged-user.ts'
import { wish } from './builders.ts'

const NOBODY = 65_534

test(
  'the owner of a repository that is there stays its user, unless the file names another or archive_command stores beside it',
  { skip: isRoot ? false : 'only root can give a directory away' },
  async () => {
    await using work = temporaryDirectory()
    const repository = join(work.path, 'repository')
    const shown = join(work.path, 'shown')
    mkdirSync(repository)
    const host = new LocalHost('localhost')
    const userOf = async (keepsOwner: boolean, at = repository): Promise<string> => {
      const wanted = wish()
      const backup = { ...wanted.backup, repository: at, osUser: 'daemon', keepsOwner }
      assert.ok(wanted.backup !== undefined)
      const context = clusterContext({
        wanted: { ...wanted, backup: { ...wanted.backup, ...backup } },
        home: host,
        openHost: async () => host,
        clock: systemClock,
        signal: new AbortController().signal,
      })
      return (await context.machineOf(context.wanted.backup ?? wanted.backup)).osUser
    }
    chownSync(repository, NOBODY, NOBODY)
    assert.equal(await userOf(true), 'daemon', 'an empty directory is no repository')
    const descriptor = join(repository, 'repository.json')
    writeFileSync(descriptor, '{}')
    assert.equal(await userOf(true), 'daemon', 'root owns none')
    chownSync(descriptor, NOBODY, NOBODY)
    assert.equal(await userOf(true), 'nobody')
    assert.equal(await userOf(false), 'daemon')
    symlinkSync(repository, shown)
    lchownSync(shown, 1, 1)
    await assert.rejects(userOf(true, shown), { code: 'DIRECTORY_OWNER' }, 'another shows it')
  },
)
