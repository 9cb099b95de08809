/** A repository whose disk is gone is never made again where it was, and nothing is said to be stored or received there. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { isBackstayError } from '../../src/errors/backstay-error.ts'
import { DiskStore } from '../../src/store/disk-store.ts'
import { createRepository } from '../../src/repository/cluster-repository.ts'
import { systemClock } from '../../src/util/clock.ts'
import { pushWalFile } from '../../src/wal/push.ts'
import { startPostgres } from '../harness/postgres.ts'
import { temporaryDirectory } from '../harness/temporary-directory.ts'
import { until } from '../harness/until.ts'
import {
  assertSameAsPrimary,
  claimFor,
  startReceiver,
  switchWal,
  untilReceived,
} from '../integration/wal/support.ts'

const SMALL = { major: 18, initdbArguments: ['--wal-segsize=1'] } as const

/** What is left of an unmounted disk: an empty directory, or none. */
function vanish(path: string, leaves: 'a mount point' | 'nothing'): { comeBack: () => void } {
  renameSync(path, `${path}.away`)
  if (leaves === 'a mount point') mkdirSync(path)
  return {
    comeBack: () => {
      rmSync(path, { recursive: true, force: true })
      renameSync(`${path}.away`, path)
    },
  }
}

describe('a repository that vanishes', () => {
  for (const leaves of ['a mount point', 'nothing'] as const) {
    it(`is not made again by a push (it leaves ${leaves})`, async () => {
      await using folder = temporaryDirectory()
      await using pg = await startPostgres(SMALL)
      const path = join(folder.path, 'repository')
      const repository = await claimFor(pg, path)
      const name = await switchWal(pg)
      const disk = vanish(path, leaves)
      await assert.rejects(pushWalFile(repository, join(pg.directory, 'pg_wal', name)), (error) =>
        isBackstayError(error, 'REPOSITORY_MISSING'),
      )
      await assert.rejects(createRepository(repository.store, systemClock), (error) =>
        isBackstayError(error, 'REPOSITORY_MISSING'),
      )
      assert.deepEqual(
        readdirSync(folder.path, { recursive: true }).filter(
          (each) => /zst|json/.test(String(each)) && !String(each).includes('.away'),
        ),
        [],
      )
      disk.comeBack()
      assert.equal(await pushWalFile(repository, join(pg.directory, 'pg_wal', name)), 'stored')
    })

    it(`gets no acknowledgement from a receiver while it is gone (it leaves ${leaves})`, async () => {
      await using folder = temporaryDirectory()
      await using pg = await startPostgres(SMALL)
      const path = join(folder.path, 'repository')
      const repository = await claimFor(pg, path)
      await using receiver = startReceiver(pg, repository)
      await pg.query('create table load(text text)')
      await untilReceived(pg)
      const disk = vanish(path, leaves)
      for (let round = 0; round < 3; round += 1) {
        await pg.query(
          `insert into load select repeat(md5(i::text), 30) from generate_series(1, 900) i`,
        )
        await switchWal(pg)
      }
      const told = await until('it to be told', () =>
        receiver.events.find(({ error }) => error?.code === 'REPOSITORY_MISSING'),
      )
      assert.match(told.text, /is gone/)
      assert.ok(!receiver.events.some(({ error }) => error?.code === 'BUG'))
      const made = readdirSync(folder.path).includes('repository') ? readdirSync(path) : []
      assert.deepEqual(made, [])
      disk.comeBack()
      await pg.query('insert into load select text from load limit 10')
      await assertSameAsPrimary(pg, repository, await switchWal(pg), 3)
    })
  }

  it('is not made again by another put of the same store, whatever the name', async () => {
    await using folder = temporaryDirectory()
    const path = join(folder.path, 'repository')
    const store = new DiskStore(path)
    await createRepository(store, systemClock)
    await store.put('a/b', Buffer.from('x'))
    const disk = vanish(path, 'a mount point')
    for (const name of ['a/b', 'a/c', 'd/e/f', 'repository.json', 'other']) {
      await assert.rejects(store.put(name, Buffer.from('y')), (error) =>
        isBackstayError(error, 'REPOSITORY_MISSING'),
      )
    }
    assert.deepEqual(readdirSync(path), [])
    disk.comeBack()
    assert.equal(readFileSync(join(path, 'a/b'), 'utf8'), 'x')
  })
})
