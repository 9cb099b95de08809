/**
 * Root works in a repository of another user, who puts a link in the place of the folder of locks: nothing is made where it leads.
 */
import assert from 'node:assert/strict'
import {
  chownSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { clusterNames } from '../../../src/repository/format.ts'
import { takeLock } from '../../../src/repository/lock.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { meddleAs } from '../../harness/other-user.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { until } from '../../harness/until.ts'

const { uid, gid } = unprivilegedUser

function prepare(base: string): {
  repository: string
  etc: string
  lock: (n: number) => Promise<void>
} {
  const [repository, etc] = [join(base, 'repository'), join(base, 'etc')]
  for (const path of [repository, join(repository, 'shop')]) {
    mkdirSync(path)
    chownSync(path, uid, gid)
  }
  mkdirSync(etc)
  const lock = async (number: number): Promise<void> => {
    const place = {
      store: new DiskStore(repository),
      names: clusterNames('shop'),
      clock: systemClock,
    }
    await using _held = await takeLock(place, {
      name: `backup-${number}`,
      mode: 'shared',
      purpose: 'x',
    })
  }
  return { repository, etc, lock }
}

test(
  'a lock of root’s is taken in no directory that a link of the owner names',
  { skip: !isRoot && 'not root' },
  async () => {
    await using directory = temporaryDirectory()
    const { repository, etc, lock } = prepare(directory.path)
    const locks = join(repository, 'shop/locks')
    symlinkSync(etc, locks)
    lchownSync(locks, uid, gid)
    await assert.rejects(lock(1), (error) => isBackstayError(error, 'DIRECTORY_OWNER'))
    assert.deepEqual(readdirSync(etc), [])
    // Where it leads is his own: what root makes there he could make.
    const own = join(directory.path, 'own')
    mkdirSync(own)
    chownSync(own, uid, gid)
    renameSync(locks, `${locks}.old`)
    symlinkSync(own, locks)
    lchownSync(locks, uid, gid)
    await lock(2)
    assert.equal(statSync(own).uid, uid)
  },
)

test('nor when the link comes and goes meanwhile', { skip: !isRoot && 'not root' }, async () => {
  await using directory = temporaryDirectory()
  const { repository, etc, lock } = prepare(directory.path)
  const script =
    'cd "$1" && mkdir -p a && ln -s "$2" b && while :; do mv -T a locks; mv -T locks a; mv -T b locks; mv -T locks b; done'
  await using _meddler = meddleAs(unprivilegedUser, script, join(repository, 'shop'), etc)
  await until('the links', () => readdirSync(join(repository, 'shop')).length > 0)
  for (let number = 0; number < 200; number += 1) await lock(number).catch(() => undefined)
  assert.deepEqual(readdirSync(etc), [])
})
