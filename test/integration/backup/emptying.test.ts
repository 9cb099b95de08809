import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { planEmptying } from '../../../src/backup/take/emptied-packs.ts'
import { expireCluster } from '../../../src/backup/expire.ts'
import { openCluster } from '../../../src/repository/cluster-repository.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { startPostgres, temporaryDirectory } from '../../harness/postgres.ts'
import { backUp, restoreAndOpen } from './support.ts'

describe('packs that are mostly dead', () => {
  for (const summarize of [true, false]) {
    it(`are emptied by later backups (${summarize ? 'incremental' : 'page-lsn'})`, async () => {
      await using directory = temporaryDirectory()
      const repository = join(directory.path, 'repository')
      const settings = {
        wal_keep_size: '1GB',
        autovacuum: 'off',
        ...(summarize ? { summarize_wal: 'on' } : {}),
      }
      await using pg = await startPostgres({ major: 18, settings })
      await pg.query(
        `create table t as select g as id, 0 as round, repeat('x', 500) as filler from generate_series(1, 20000) g`,
      )
      await pg.query('create unique index on t (id)')
      const small = { packBytes: 300_000 }
      const first = await backUp(pg, repository, small)
      const cluster = await openCluster(new DiskStore(repository), 'test', systemClock)
      let emptied = 0
      let before = first
      for (let round = 1; round <= 6; round += 1) {
        await pg.query(`update t set round = ${round} where id % 12 = ${round}`)
        await pg.query('vacuum t')
        const info = await backUp(pg, repository, small)
        assert.equal(info.type, 'changed-pages', info.fullBecause ?? '')
        const plan = planEmptying(before.packs, before.bytes.database)
        const live = new Map(before.packs.map((pack) => [pack.name, pack.liveBytes]))
        const planned = plan.packs.filter((name) => (live.get(name) ?? 0) <= plan.budgetBytes)
        const stillUsed = new Set(info.packs.map(({ name }) => name))
        assert.deepEqual(
          planned.filter((name) => stillUsed.has(name)),
          [],
        )
        emptied += planned.length
        before = info
        await expireCluster(cluster, { windowMs: undefined, count: 1, minimum: 1 })
      }
      assert.ok(emptied > 0, 'some pack was mostly dead')
      const latest = (await cluster.store.listFolders(cluster.names.backups)).at(-1) ?? ''
      await using restored = await restoreAndOpen(pg, {
        directory: repository,
        id: latest,
        target: join(directory.path, 'restored'),
      })
      const rows = 'select count(*) as n, sum(hashtext(t::text)) as h from t'
      assert.deepEqual(await restored.query(rows), await pg.query(rows))
    })
  }
})
